---@meta _

---Returned by `attach()` of the modules in `zmqloop.integrate`. It ends with `detach()`, and
---with `stop()` and `close()` of the attached loop.
---@class zmqloop.Attachment
local Attachment = {}

---Ends the attachment. Detaching twice is silent.
function Attachment:detach() end
