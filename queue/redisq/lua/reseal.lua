#!lua
-- Records that were stored as they are, or sealed with another key, get the form
-- that the daemon's key gives them.
--
-- KEYS     all of the site's
-- ARGV     1 now, 2 print of the settings, 3 nonce, 4 packed list of
--          { 'b', callback, number, new number, new note }, { 'c', call, number, new
--          number, new attributes } and { 'r', request, what it is, what it becomes };
--          '' and {} are none
-- returns  see lib/run.lua
-- cost     O(log n) for each of the list
if not m.begin(ARGV[1], ARGV[2]) then return { 'CONFIG', m.nonce } end
local list = decode(ARGV[4])
for i = 1, #list do
  local kind, id, old, new, more = list[i][1], list[i][2], list[i][3], list[i][4], list[i][5]
  if kind == 'b' then
    m.reseal_callback(m.get_callback(id), m.given(old), m.given(new), m.given(more))
  elseif kind == 'c' then
    m.reseal_call(m.get_call(id), m.given(old), m.given(new), #more > 0 and more or nil)
  else
    m.replace_answer(id, old, new)
  end
end
m.flush()
return m.answer('OK')
