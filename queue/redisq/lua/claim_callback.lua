#!lua flags=allow-oom
-- A person or a tool takes an open callback.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 callback, 7 claimant
-- returns  the callback
-- cost     O(log n); when it was offered, that of attach.lua
return m.run('claim_callback', function() return m.claim_callback(m.args[6], m.args[7]) end)
