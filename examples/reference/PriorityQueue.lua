local queue = require("zmqloop").PriorityQueue()
for _, word in ipairs({"pear", "apple", "plum"}) do queue:put_nowait(word) end
print(queue:get_nowait(), queue:get_nowait(), queue:get_nowait()) --> apple	pear	plum
