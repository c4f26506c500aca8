#!lua
-- A call reached the switch: admit it and try to serve it, or say why not.
--
-- KEYS     all of the site's, as keys.go lists them
-- ARGV     1 now, 2 print of the settings, 3 nonce, 4 request id, 5 its print,
--          6 call, 7 switch, 8 queue, 9 what the switch said: a packed call,
--          10 why it is refused if nothing else does, or ''
-- returns  see lib/run.lua; the call, its position and estimated wait
-- cost     O(log n) in calls waiting, for each queue that the chosen agent serves
return m.run('arrive', function()
  return m.arrive(m.args[6], m.given(m.args[7]), m.args[8], decode(m.args[9]), m.given(m.args[10]))
end)
