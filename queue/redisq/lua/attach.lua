#!lua flags=allow-oom
-- Offers reach the agent by a poll or a stream; a ready one is given the first of
-- those who wait for him.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 agent, 7 owner, 8 token, 9 presence, 10 wait in ms
-- returns  the agent and the live offer
-- cost     O(log n) in calls waiting, for each queue that the agent serves
return m.run('attach', function()
  return m.attach(m.args[6], m.args[7], m.args[8], tonumber(m.args[9]), tonumber(m.args[10]))
end)
