--- zmqloop.json: the installed JSON library, lua-cjson or else dkjson.
-- Internal: programs do not require it, and it may change at any time.
-- Loaded when JSON is first used; raises if neither is installed.

for _, library in ipairs({"cjson", "dkjson"}) do
  local found, json = pcall(require, library)
  if found then
    return {encode = json.encode, decode = json.decode}
  end
end

error("JSON needs lua-cjson or dkjson", 0)
