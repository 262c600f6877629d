-- A random generator that gives the same numbers in every Lua.

--- Returns a function that returns a whole number from 1 to n.
return function(seed)
  local state = seed % 2147483646 + 1
  local function random(n)
    state = state * 48271 % 2147483647
    return state % n + 1
  end
  for _ = 1, 3 do random(1) end -- seeds that are neighbours begin alike
  return random
end
