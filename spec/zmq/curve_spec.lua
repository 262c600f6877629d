local helper = require("spec.helper")
local zmq = require("zmqloop.zmq")
local test, raises, fails = helper.test, helper.raises, helper.fails

-- The vectors of ZMTP's specification of CURVE: text and bytes.
local vectors = {
  {"Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID",
    "BB88471D65E2659B30C55A5321CEBB5AAB2B70A398645C26DCA2B2FCB43FC518"},
  {"D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs",
    "7BB864B489AFA3671FBE69101F94B38972F24816DFB01B51656B3FEC8DFD0888"},
  {"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
    "54FCBA24E93249969316FB617C872BB0C1D1FF14800427C594CBFACF1BC2D652"},
  {"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6",
    "8E0BDD697628B91D8F245587EE95C5B04D48963F79259877B49CD9063AEAD3B7"},
  {"HelloWorld", "864FD26FB559F75B"},
  {"", ""},
}

local function bytes(hex)
  return (hex:gsub("%x%x", function(pair) return string.char(tonumber(pair, 16)) end))
end

describe("Z85", function()
  it("gives the known texts both ways", function()
    for _, vector in ipairs(vectors) do
      local text, data = vector[1], bytes(vector[2])
      assert.equal(text, zmq.z85_encode(data))
      assert.equal(data, zmq.z85_decode(text))
    end
  end)

  it("takes multiples of 4 bytes and of 5 characters, or raises", function()
    for _, size in ipairs{1, 2, 3, 5, 33} do
      raises("bad argument #1 to 'z85_encode'", zmq.z85_encode, ("x"):rep(size))
    end
    for _, size in ipairs{1, 4, 6, 41} do
      raises("bad argument #1 to 'z85_decode'", zmq.z85_decode, ("x"):rep(size))
    end
    for _, bad in ipairs{5, {}, true} do
      raises("string expected", zmq.z85_encode, bad)
      raises("string expected", zmq.z85_decode, bad)
      raises("string expected", zmq.curve_public, bad)
    end
  end)

  it("rejects what is no Z85", function()
    for _, bad in ipairs{"\0\0\0\0\0", "abcd\0", "ab\0de", "abc d", "abcd~", "abcd\255", "\"bcde",
        "abcd\\", "%nSc1"} do
      fails("EINVAL", zmq.z85_decode(bad))
    end
  end)

  it("comes back the same, whatever the bytes", function()
    for round = 1, 50 do
      local characters = {}
      for i = 1, 4 * round do characters[i] = string.char(math.random(0, 255)) end
      local data = table.concat(characters)
      assert.equal(data, zmq.z85_decode(zmq.z85_encode(data)))
    end
  end)
end)

describe("CURVE", function()
  after_each(helper.cleanup)

  if not zmq.has("curve") then
    pending("libzmq was built without CURVE")
    return
  end

  it("makes pairs of keys, 40 characters that stand for 32 bytes", function()
    local public, secret = zmq.curve_keypair()
    for _, key in ipairs{public, secret} do
      assert.equal(40, #key)
      assert.equal(32, #zmq.z85_decode(key))
    end
    assert.equal(public, zmq.curve_public(secret))
    assert.not_equal(public, (zmq.curve_keypair()))
    raises("bad argument #1 to 'curve_public'", zmq.curve_public, "short")
    fails("EINVAL", zmq.curve_public((" "):rep(40)))
    fails("EINVAL", zmq.curve_public(("\0"):rep(40)))
  end)

  it("round trip", test(function(t)
    local server_public, server_secret = zmq.curve_keypair()
    local client_public, client_secret = zmq.curve_keypair()
    local server = t:socket("DEALER", {curve_server = 1, curve_secretkey = server_secret})
    local client = t:socket("DEALER", {
      curve_serverkey = server_public,
      curve_publickey = zmq.z85_decode(client_public), -- bytes do as well
      curve_secretkey = client_secret,
    })
    assert.equal(zmq.CURVE, server:get("mechanism"))
    assert.equal(zmq.CURVE, client:get("mechanism"))
    assert.equal(server_secret, server:get("curve_secretkey"))
    assert.equal(client_public, client:get("curve_publickey"))
    assert.is_true(client:connect(t:bind(server, "tcp")))
    assert.is_true(client:send_multipart{"secret", "\0message"})
    assert.same({"secret", "\0message"}, server:recv_multipart())
    assert.is_true(server:send("answer"))
    assert.equal("answer", client:recv())
  end))

  it("of a wrong server key is refused, which the monitor tells", test(function(t)
    local _, server_secret = zmq.curve_keypair()
    local public, secret = zmq.curve_keypair()
    local server = t:socket("PULL", {curve_server = 1, curve_secretkey = server_secret})
    local client = t:socket("PUSH", {curve_serverkey = public, curve_publickey = public,
      curve_secretkey = secret})
    local failed
    server:monitor(function(event) failed = event end, "HANDSHAKE_FAILED_PROTOCOL", t.loop)
    client:connect(t:bind(server, "tcp"))
    client:send("x", zmq.DONTWAIT)
    t:run_until(function() return failed end)
    assert.equal("ZMTP_CRYPTOGRAPHIC", failed.error)
    fails("EAGAIN", server:recv(zmq.DONTWAIT))
  end))
end)

describe("PLAIN", function()
  after_each(helper.cleanup)

  it("and NULL are what the options say", test(function(t)
    local server = t:socket("DEALER")
    assert.equal(zmq.NULL, server:get("mechanism"))
    assert.is_true(server:set("plain_server", true))
    assert.equal(zmq.PLAIN, server:get("mechanism"))
    local client = t:socket("DEALER", {plain_username = "admin", plain_password = "Password"})
    assert.equal(zmq.PLAIN, client:get("mechanism"))
    assert.equal("admin", client:get("plain_username"))
    assert.equal("Password", client:get("plain_password"))
    assert.equal(0, client:get("plain_server"))
  end))

  it("asks whoever is at the ZAP address", test(function(t)
    local zap = t:socket("REP", {bind = "inproc://zeromq.zap.01"})
    local server = t:socket("PULL", {plain_server = 1, zap_domain = "global"})
    local endpoint = t:bind(server, "tcp")
    for _, case in ipairs{{"Password", "200"}, {"Bogus", "400"}} do
      local client = t:socket("PUSH", {plain_username = "admin", plain_password = case[1],
        connect = endpoint})
      client:send(case[1], zmq.DONTWAIT)
      local request = zap:recv_multipart()
      assert.equal("1.0", request[1])
      assert.equal("global", request[3])
      assert.equal("PLAIN", request[6])
      assert.equal("admin", request[7])
      assert.equal(case[1], request[8])
      zap:send_multipart{"1.0", request[2], case[2], "", "admin", ""}
      if case[2] == "200" then
        assert.equal("Password", server:recv())
      else
        assert.equal(0, server:poll(20))
      end
      client:close()
    end
  end))
end)
