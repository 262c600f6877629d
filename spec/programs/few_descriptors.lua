-- Makes loops with more and more descriptors free, until one works.
local function fill(files)
  repeat
    local file = io.open("/dev/null")
    files[#files + 1] = file
  until not file
  return files
end
local function drop(files, count)
  for _ = 1, count do table.remove(files):close() end
end
new_loop():close() -- what is made once has been made
local files = fill({})
local failures = 0
for free = 0, 10 do
  drop(files, free)
  local loop, message, name = new_loop()
  if loop then
    assert(failures > 0, "it never failed")
    loop:call_later(0, loop.stop, loop)
    assert(loop:start())
    loop:close()
  else
    failures = failures + 1
    assert(name == "EMFILE", name)
    assert(message:find("^EMFILE: %l"), message)
  end
  local before = #files
  fill(files)
  assert(#files == before + free, ("%d descriptors are gone"):format(before + free - #files))
  if loop then print("ok") os.exit(0, true) end
end
error("it never works")
