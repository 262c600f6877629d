-- Sending values other than strings: as JSON, and as frames from the user's own function.
local helper = require("spec.helper")
local sleep = require("zmqloop").sleep
local async = helper.async

-- Runs fn where `libraries`, by name, are the only ones of JSON to be found.
local function with_libraries(libraries, fn)
  local before, names = {}, {"cjson", "dkjson", "zmqloop.json"}
  local preload = {}
  for _, name in ipairs(names) do
    before[name], package.loaded[name] = package.loaded[name], libraries[name]
    if name ~= "zmqloop.json" and not libraries[name] then
      preload[name] = true
      package.preload[name] = function() error("not installed") end
    end
  end
  local ok, err = pcall(fn)
  for _, name in ipairs(names) do
    package.loaded[name] = before[name]
    if preload[name] then package.preload[name] = nil end
  end
  if not ok then error(err, 0) end
end

describe("ZMQStream:send_json", function()
  local function fake(tag)
    return {encode = function(value) return tag .. ":" .. tostring(value) end}
  end

  local function sends(t, libraries, expected)
    local pull, push = t:streams("PULL", "PUSH")
    with_libraries(libraries, function()
      assert.is_true(push:send_json(5, t.expect(function() end)))
    end)
    pull:on_recv(t.expect(function(frames)
      assert.same({expected}, frames)
      t:stop()
    end))
    t:wait()
    sleep(0)
  end

  it("takes lua-cjson before dkjson", async(function(t)
    sends(t, {cjson = fake("cjson"), dkjson = fake("dkjson")}, "cjson:5")
  end))

  it("takes dkjson where there is no lua-cjson", async(function(t)
    sends(t, {dkjson = fake("dkjson")}, "dkjson:5")
  end))

  it("names both where there is neither", async(function(t)
    local push = t:stream("PUSH")
    with_libraries({}, function()
      local ok, err = pcall(push.send_json, push, {})
      assert.is_false(ok)
      assert.matches("lua-cjson", err, 1, true)
      assert.matches("dkjson", err, 1, true)
    end)
    assert.equal(0, push:queued())
  end))

  it("sends what the library at hand makes of a value, and raises what it raises",
    async(function(t)
      local found, json = pcall(require, "cjson")
      if not found then found, json = pcall(require, "dkjson") end
      if not found then pending("neither lua-cjson nor dkjson is installed") return end
      local pull, push = t:streams("PULL", "PUSH")
      local value = {name = "x", list = {1, 2, {deep = true}}}
      assert.is_true(push:send_json(value))
      pull:on_recv(t.expect(function(frames)
        assert.same(value, json.decode(frames[1]))
        t:stop()
      end))
      t:wait()
      local _, err = pcall(push.send_json, push, function() end)
      assert.matches("bad argument #1 to 'send_json' (", err, 1, true)
      assert.equal(0, push:queued())
      sleep(0)
    end))
end)

describe("ZMQStream:send_serialized", function()
  it("sends the frames that its function makes", async(function(t)
    local pull, push = t:streams("PULL", "PUSH")
    local value = {topic = "t", body = "b"}
    assert.is_true(push:send_serialized(value, function(given, ...)
      assert.equal(value, given)
      assert.equal(0, select("#", ...))
      return {given.topic, given.body}
    end, t.expect(function(frames) assert.same({"t", "b"}, frames) end)))
    pull:on_recv(t.expect(function(frames)
      assert.same({"t", "b"}, frames)
      t:stop()
    end))
    t:wait()
    sleep(0)
  end))

  it("raises for what makes no frames, and sends nothing", async(function(t)
    local push = t:stream("PUSH")
    for _, bad in ipairs{5, "x", {}} do
      assert.has_error(function() push:send_serialized("v", bad) end)
      assert.has_error(function() push:send_serialized("v", function() return bad end) end)
    end
    assert.has_error(function() push:send_serialized("v", function() error("no") end) end)
    assert.equal(0, push:queued())
  end))
end)
