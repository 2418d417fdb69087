--- Keeps passwords out of messages.
---
--- A password may be a common word. Hidden wherever its letters stand, it would be
--- told by what is hidden: "invalid username-***word pair" has the password "pass".
--- So it is hidden only if it stands as a whole word, and never in a sentence that
--- the server says whatever the password is.

local M = {}

local HIDDEN = "***"

-- What Redis and its kin answer to the commands that open a session, whatever
-- the password is. Between the two () stands what is no part of the sentence.
local sentences = {
  "^WRONGPASS invalid username%-password pair$",
  "^WRONGPASS invalid username%-password pair or user is disabled%.$",
  "^NOAUTH Authentication required%.$",
  "^NOPERM this user has no permissions to run the '%S+' command",
  "^NOPERM User ()%S+() has no permissions to run the '%S+' command",
  "^DENIED %a+ is running in protected mode because ",
  "^LOADING %a+ is loading the dataset in memory$",
  "^MASTERDOWN Link with MASTER is down and ",
  "^BUSY %a+ is busy running a script%. ",
  "^ERR AUTH <password> called without any password configured ",
  "^ERR Client sent AUTH, but no password is set$", "^ERR invalid password$",
  "^ERR max number of clients ", "^ERR Protocol error: unauthenticated ",
  "^ERR DB index is out of range$", "^ERR invalid DB index$",
  "^ERR SELECT is not allowed in cluster mode$", "^ERR syntax error$",
  "^ERR wrong number of arguments for '%S+' command$",
  "^ERR unknown command ['`]%a+['`]$",
  "^ERR [Uu]nknown subcommand [^']*'%a+'%. Try ",
  "^ERR Client names cannot contain ",
}

--- Whether the byte at `at` belongs to a word.
local function joins(text, at)
  return text:find("^[%w_\128-\255-]", at) ~= nil
end

--- The text without the secret's whole words.
local function hide_words(text, secret)
  local parts, at = {}, 1
  local from, to = text:find(secret, 1, true)
  while from do
    local whole = not (from > 1 and joins(text, from - 1) and joins(secret, 1)) and
      not (joins(text, to + 1) and joins(secret, #secret))
    parts[#parts + 1] = text:sub(at, from - 1)
    parts[#parts + 1] = whole and HIDDEN or text:sub(from, to)
    at = to + 1
    from, to = text:find(secret, at, true)
  end
  return table.concat(parts) .. text:sub(at)
end

--- What a server said to a command that had this secret among its arguments.
--- Control bytes of the text have become spaces already.
---@param text string
---@param secret string?
---@return string
function M.hide(text, secret)
  if not secret or secret == "" then return text end
  -- Redis repeats the arguments of a command that it does not know: all of them,
  -- cut after 128 bytes.
  local known = text:match("^(.-),? with args beginning with:")
  if known then return known end
  secret = secret:gsub("%c+", " ")
  for _, sentence in ipairs(sentences) do
    local from, _, first, last = text:find(sentence)
    if from and not first then return text end
    if from then
      return text:sub(1, first - 1) .. hide_words(text:sub(first, last - 1), secret) ..
        text:sub(last)
    end
  end
  local code = text:match("^%u[%u%d_]* ") or ""
  return code .. hide_words(text:sub(#code + 1), secret)
end

--- A URL, which may be a bad one, without what may be a password in it.
---@param url string
---@return string
function M.hide_in_url(url)
  local scheme, rest = url:match("^(%w[%w+.-]*:/*)(.*)$")
  if not scheme then scheme, rest = "", url end
  -- Up to the last @: one in a password may be unencoded.
  local userinfo, place = rest:match("^(.*)@(.*)$")
  if userinfo then
    local user, colon = userinfo:match("^([^:/?#]*)(:)")
    userinfo = (user or "") .. (colon or "") .. HIDDEN .. "@"
  else
    userinfo, place = "", rest
    -- The host may have been forgotten: then a password stands where the port
    -- should be.
    if scheme:find("//", 1, true) then
      place = place:gsub("^([^:/%[]*:)(.*)$", function(host, tail)
        local port = tail:find("^%d+$") or tail:find("^%d+[/?]")
        return host .. (port and tail or HIDDEN)
      end)
    end
  end
  place = place:gsub("([?&][^=&]*=)([^&]*)", function(name, value)
    return name .. (name:find("^.db=") and value or HIDDEN)
  end)
  return scheme .. userinfo .. place
end

return M
