#!lua
-- A part of the calls a switch still holds: the missing ones are added, and, with
-- the last part, those that the daemon found lost are closed.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 switch, 7 as of or 0, 8 packed list of calls,
--          9 packed list of lost calls' ids, 10 '1': parts follow, remember nothing,
--          11 what earlier parts came to: packed { added, kept, closed }
-- returns  added, kept and closed in all, one item for each call of this part
-- cost     that of arrive.lua for each call, of hang_up.lua for each lost one
return m.run('reconcile', function()
  local list, sofar = decode(m.args[8]), decode(m.args[11])
  local res = { added = sofar[1], kept = sofar[2], items = {} }
  for i = 1, #list do
    local outcome, kind, field, detail = m.reconcile_one(m.given(m.args[6]), list[i])
    if outcome == 'added' then res.added = res.added + 1 end
    if outcome == 'kept' then res.kept = res.kept + 1 end
    res.items[i] = { outcome, kind or '', field or '', detail or '', list[i].id or '', format('%d', list[i].place) }
  end
  local as_of = tonumber(m.args[7])
  if as_of == 0 or as_of > m.now then as_of = m.now end
  res.closed = sofar[3] + m.close_lost(m.args[6], as_of, decode(m.args[9]))
  return res
end, m.args[10] == '1')
