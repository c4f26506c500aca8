#!lua flags=allow-oom
-- A switch's event stream has ended: what its phones were ringing for goes back.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 switch, 7 token
-- returns  nothing
-- cost     that of decline.lua for each phone that rings for it
return m.run('detach_switch', function() return m.detach_switch(m.args[6], m.args[7]) end)
