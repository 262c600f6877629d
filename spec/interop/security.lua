-- The security of a conversation. The side that binds is the server, and asks its ZAP handler about
-- the client: the peer has its library's, the spec the one here.
local zmqloop = require("zmqloop")
local zmq = zmqloop.zmq

local Credentials = {}
Credentials.__index = Credentials

--- The spec's options of a socket.
function Credentials:options(is_server)
  local options = {}
  for name, value in pairs(is_server and self.server_options or self.client_options) do
    options[name] = value
  end
  return options
end

--- What the peer is told.
function Credentials:words(is_server)
  return is_server and self.server_words or self.client_words
end

--- Answers the spec's server, in the loop of the test: 200 or 400.
function Credentials:serve(t)
  if not self.is_good then return end
  local zap = t:stream("REP", {bind = "inproc://zeromq.zap.01"})
  zap:on_recv(function(request)
    local good = request[3] == "global" and self.is_good(request)
    if not good then self.refused = true end
    zap:send_multipart{"1.0", request[2], good and "200" or "400", "", "client", ""}
  end)
end

local function new(fields)
  return setmetatable(fields, Credentials)
end

local none = new{server_options = {}, client_options = {}, server_words = {}, client_words = {}}

--- PLAIN; the client says what it is asked for, or with `forged` something else.
local function plain(forged)
  local password = forged and "wrong" or "secret"
  return new{
    server_options = {plain_server = 1, zap_domain = "global"},
    client_options = {plain_username = "admin", plain_password = password},
    server_words = {"plain", "admin", "secret"},
    client_words = {"plain", "admin", password},
    is_good = function(request)
      return request[6] == "PLAIN" and request[7] == "admin" and request[8] == "secret"
    end,
  }
end

--- CURVE; the client's key is the one that is expected, or with `forged` another.
local function curve(forged)
  local server_public, server_secret = zmq.curve_keypair()
  local public, secret = zmq.curve_keypair()
  local expected = public
  if forged then public, secret = zmq.curve_keypair() end
  return new{
    server_options = {curve_server = 1, curve_secretkey = server_secret, zap_domain = "global"},
    client_options = {
      curve_serverkey = server_public, curve_publickey = public, curve_secretkey = secret,
    },
    server_words = {"curve", server_public, server_secret, expected},
    client_words = {"curve", public, secret, server_public},
    is_good = function(request)
      return request[6] == "CURVE" and request[7] == zmq.z85_decode(expected)
    end,
  }
end

return {none = none, plain = plain, curve = curve}
