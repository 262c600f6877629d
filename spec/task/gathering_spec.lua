-- Waiting for several futures.
local helper = require("spec.helper")
local fixture = require("spec.task.fixture")
local zmqloop = require("zmqloop")

local Future, gather = zmqloop.Future, zmqloop.gather

-- Lua 5.1 cannot suspend across its own pcall, nor in an iterator.
local SUSPENDS_ANYWHERE = _VERSION ~= "Lua 5.1" or rawget(_G, "jit") ~= nil

local virtual, later = fixture.virtual, fixture.later
local failing, error_of = fixture.failing, fixture.error_of

describe("gather()", function()
  after_each(helper.cleanup)

  it("returns results in the order of the list, whichever was first",
    virtual(function(_, loop)
      assert.same({3, 1, 2, 3}, loop:run_sync(function()
        local slow = later(loop, 3, 3)
        return gather{slow, later(loop, 1, 1), later(loop, 2, 2), slow}
      end))
    end))

  it("returns results by the keys of a map", virtual(function(_, loop)
    assert.same({foo = 2, bar = 3}, loop:run_sync(function()
      return gather{foo = later(loop, 2, 2), bar = later(loop, 1, 3)}
    end))
  end))

  it("of a table with holes leaves nothing out", virtual(function(_, loop)
    for holes = 1, 5 do
      local map = {later(loop, 1, 1), [1.5] = later(loop, 1, 1.5)}
      for i = 1, holes do
        map["key" .. i] = later(loop, 1, i)
        map[i + 2] = later(loop, 1, i + 2)
      end
      local results = loop:run_sync(function() return gather(map) end)
      for key in pairs(map) do
        assert.equal(type(key) == "string" and tonumber(key:match("%d")) or key, results[key])
      end
    end
  end))

  it("of nothing is nothing", virtual(function(_, loop)
    assert.same({}, loop:run_sync(function() return gather{} end))
  end))

  it("of thousands is no more work for each", virtual(function(_, loop)
    local results = loop:run_sync(function()
      local list = {}
      for i = 1, 2000 do list[i] = later(loop, 1, i) end
      return gather(list)
    end)
    assert.equal(2000, #results)
    assert.equal(2000, results[2000])
  end))

  it("waits for all and raises the first error in order; the others are reported",
    virtual(function(t, loop)
      t:expect_errors()
      local finished = false
      helper.apart(function()
        local list = {later(loop, 3, 1), failing(loop, 2, "first"), failing(loop, 1, "second")}
        list[1]:add_done_callback(function() finished = true end)
        assert.equal("first", error_of(loop, function() gather(list) end))
      end)
      assert.is_true(finished)
      for _ = 1, 3 do
        collectgarbage()
        loop:step()
      end
      assert.same({"second"}, t.errors)
    end))

  it("cancels all when its task is cancelled", virtual(function(_, loop)
    local list = {later(loop, 3), later(loop, 5)}
    local task = loop:spawn(function() gather(list) end)
    loop:advance(1)
    task:cancel()
    loop:advance(0)
    assert.is_true(task:cancelled())
    assert.is_true(list[1]:cancelled() and list[2]:cancelled())
  end))

  it("wants futures", virtual(function(_, loop)
    assert.matches("bad argument #1 to 'gather'", error_of(loop, function() gather{1} end))
    assert.matches("bad argument #1 to 'gather'", error_of(loop, function() gather(1) end))
  end))
end)

describe("as_completed()", function()
  after_each(helper.cleanup)

  -- A `for` that 5.1 can suspend in as well.
  local function each(futures, fn)
    local next_done = zmqloop.as_completed(futures)
    local future, key = next_done()
    while future do
      fn(future, key)
      future, key = next_done()
    end
  end

  it("hands futures out as they are done, failed ones too", virtual(function(_, loop)
    local seen = loop:run_sync(function()
      local order = {}
      each({}, error)
      each({later(loop, 3, "c"), failing(loop, 2, "b"), later(loop, 1, "a")}, function(future, key)
        order[#order + 1] = key .. (future:error() or future:result())
      end)
      return order
    end)
    assert.same({"3a", "2b", "1c"}, seen)
  end))

  it("hands out those that are done already in order, and tells keys",
    virtual(function(_, loop)
      local list = {}
      for i = 1, 3 do
        list[i] = Future(loop)
        list[i]:set_result(i)
      end
      local seen = loop:run_sync(function()
        local order = {}
        each(list, function(future) order[#order + 1] = future:result() end)
        each({name = list[2]}, function(_, key) order[#order + 1] = key end)
        return order
      end)
      assert.same({1, 2, 3, "name"}, seen)
    end))

  it("is the iterator of a for loop", virtual(function(_, loop)
    if not SUSPENDS_ANYWHERE then pending("5.1 cannot suspend in an iterator") end
    local sum = loop:run_sync(function()
      local total = 0
      for future in zmqloop.as_completed{later(loop, 2, 2), later(loop, 1, 1)} do
        total = total * 10 + future:result()
      end
      return total
    end)
    assert.equal(12, sum)
  end))
end)
