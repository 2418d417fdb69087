--- A real browser, headless Chromium, driven over WebDriver (chromedriver).

local json = require "dkjson"
local redis = require "spec.support.redis"

local Browser = {}
Browser.__index = Browser

local M = {}

-- So that a browser just started is quiet, and works as root.
local arguments = {
  "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
  "--disable-background-networking", "--disable-component-update", "--disable-sync",
  "--window-size=900,800",
}

--- WebDriver's name for an element in its answers.
local ELEMENT = "element-6066-11e4-a52e-4f735466cecf"

local function call(self, method, path, body)
  local file = assert(io.open(self.dir .. "/body", "w"))
  assert(file:write(json.encode(body or setmetatable({}, { __jsontype = "object" }))))
  assert(file:close())
  local answer = redis.sh("curl -sS --max-time 60 -X %s %s http://127.0.0.1:%d%s",
    method, method == "POST" and "-H 'Content-Type: application/json' --data-binary @" ..
    self.dir .. "/body" or "", self.port, path)
  local value = assert(json.decode(answer), answer).value
  if type(value) == "table" and value.error then error(value.message, 3) end
  return value
end

--- Starts one, with a profile of its own.
function M.start()
  local self = setmetatable({
    dir = redis.sh("mktemp -d"),
    port = redis.free_port(),
  }, Browser)
  self.pid = tonumber(redis.sh("cd %s && { chromedriver --port=%d >log 2>&1 </dev/null & " ..
    "echo $! | tee pid; }", self.dir, self.port))
  redis.sh("for i in $(seq 200); do curl -s http://127.0.0.1:%d/status >/dev/null && " ..
    "exit 0; sleep 0.05; done; cat %s/log; exit 1", self.port, self.dir)
  local options = { args = { "--user-data-dir=" .. self.dir .. "/profile" } }
  for _, argument in ipairs(arguments) do table.insert(options.args, argument) end
  local session = call(self, "POST", "/session", {
    capabilities = { alwaysMatch = { ["goog:chromeOptions"] = options } },
  })
  self.session = "/session/" .. session.sessionId
  return self
end

--- Goes to an address, and waits until the page is there.
function Browser:go(url)
  call(self, "POST", self.session .. "/url", { url = url })
end

--- Runs a script in the page; what it returns.
function Browser:eval(script)
  return call(self, "POST", self.session .. "/execute/sync", {
    script = script,
    args = setmetatable({}, { __jsontype = "array" }),
  })
end

local function element(self, selector)
  local found = call(self, "POST", self.session .. "/element",
    { using = "css selector", value = selector })
  return self.session .. "/element/" .. found[ELEMENT]
end

--- Types into the element, as a person does.
function Browser:type(selector, text)
  call(self, "POST", element(self, selector) .. "/value", { text = text })
end

function Browser:click(selector)
  call(self, "POST", element(self, selector) .. "/click")
end

--- A picture of the page, as a PNG file.
function Browser:screenshot(path)
  local picture = call(self, "GET", self.session .. "/screenshot")
  local file = assert(io.open(self.dir .. "/picture", "w"))
  assert(file:write(picture))
  assert(file:close())
  redis.sh("base64 -d %s/picture >%s", self.dir, path)
end

function Browser:stop()
  if self.session then pcall(call, self, "DELETE", self.session) end
  redis.sh("kill %d 2>/dev/null; rm -rf %s", self.pid, self.dir)
end

return M
