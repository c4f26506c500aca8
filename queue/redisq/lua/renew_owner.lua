#!lua flags=allow-oom
-- A daemon keeps its agents and switches alive.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 owner
-- returns  nothing
-- cost     O(log n) in timers
return m.run('renew_owner', function()
  if m.args[6] == '' then m.refuse(ERR_INVALID, 'owner', 'must not be empty') end
  m.renew(m.args[6])
  return {}
end)
