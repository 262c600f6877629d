-- A late module that is loaded again.
local first = require("zmqloop.async.locks")
assert(package.preload["zmqloop.async.locks"] == nil)
package.loaded["zmqloop.async.locks"] = nil
print(require("zmqloop.async.locks") ~= nil, first ~= nil)
