#!lua flags=allow-oom
-- The caller hung up (abandon), or the switch says that the call is over (end).
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 call, 7 switch, 8 the switch's own time or 0,
--          9 reason, 10 the command's kind
-- returns  the call and the callback that it earned
-- cost     O(log n), and for the agent who comes free that of attach.lua
return m.run(m.args[10], function() return m.hang_up(m.args[6], m.given(m.args[7]), m.number_given(m.args[8]), m.args[9]) end)
