#!lua flags=allow-oom
-- An open callback is withdrawn.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 callback, 7 reason
-- returns  the callback
-- cost     O(log n); when it was offered or claimed, that of attach.lua
return m.run('cancel_callback', function() return m.cancel_callback(m.args[6], m.given(m.args[7])) end)
