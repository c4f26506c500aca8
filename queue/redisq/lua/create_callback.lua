#!lua
-- Somebody promises a callback by hand.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 caller, 7 queue, 8 tier, 9 due at or 0, 10 note
-- returns  the callback
-- cost     O(log n)
return m.run('create_callback', function()
  return m.create_callback(m.args[6], m.args[7], tonumber(m.args[8]), m.number_given(m.args[9]), m.given(m.args[10]))
end)
