--- zmqloop.json: the library of JSON that is installed: lua-cjson, or else dkjson.
-- Loaded when JSON is first asked for; without either, loading it raises.

for _, library in ipairs({"cjson", "dkjson"}) do
  local found, json = pcall(require, library)
  if found then
    return {encode = json.encode, decode = json.decode}
  end
end

error("JSON needs lua-cjson or dkjson", 0)
