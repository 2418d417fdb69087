--- One page of a read: the reader sends for it, takes it, and appends its entries to
--- what was read. self is the reader.

local M = {}

--- More entries than any reply has.
M.WHOLE = 2 ^ 31 - 1

--- A state, or nil, err; but a refusal is no error: the state is asked for again,
--- in another way.
function M.unless_refused(state, err, refused)
  return state, not refused and err or nil
end

--- Sends for a page of at most so many entries; if with_state, with the question
--- for the log's state in front of it. Returns `count`.
function M.send_for(self, with_state, command, from, to, count)
  local replies = 1
  if with_state and self.alone then
    local err
    self.state, err = M.unless_refused(self:get_state())
    if not self.state then return nil, err end
  elseif with_state then
    replies = replies + self:want_state()
  end
  self.request:command(command, self.name, from, to, "COUNT", count)
  local ok, err = self:send(replies)
  if not ok then return nil, err end
  return count
end

--- The page that is due, of at most so many: how many entries it has, and the
--- first and the last id; the decoder has it. Before that, takes the state that
--- is due in front of it.
function M.take(self, asked)
  local kind, err
  if self.asked_by then
    self.state, err = M.unless_refused(self:take_state())
    if not self.state then return nil, err end
  end
  kind, err = self:reply()
  if not kind then return nil, err end
  local count, last, first = self.decoder:page("range", asked)
  if not count then return self.connection:reject(last, first) end
  return count, first, last
end

--- Appends the page at hand, without its first `skip` entries.
function M.append(self, entries, skip)
  local ok, kind, why = self.decoder:entries("range", skip, M.WHOLE, entries,
    self.as_pairs)
  if not ok then return self.connection:reject(kind, why) end
  return true
end

--- Appends the page at hand, and asks on by go_on(), which returns what that
--- returns: first, so that the server works meanwhile; but if replies come alone,
--- they take the page's place.
function M.append_and(self, entries, skip, go_on)
  local went, ok, err
  if not self.alone then
    went, err = go_on()
    if not went then return nil, err end
  end
  ok, err = M.append(self, entries, skip)
  if not ok then return nil, err end
  if went then return went end
  return go_on()
end

local function equal(a, b)
  if type(a) ~= "table" or type(b) ~= "table" then return a == b end
  for key, value in pairs(a) do
    if not equal(value, b[key]) then return false end
  end
  for key in pairs(b) do
    if a[key] == nil then return false end
  end
  return true
end

--- Whether the page at hand begins with the entry that was read last.
function M.joins(self, last)
  local page, kind, why = self.decoder:entries("range", 0, 1, nil, self.as_pairs)
  if not page then return self.connection:reject(kind, why) end
  return equal(page[1], last)
end

return M
