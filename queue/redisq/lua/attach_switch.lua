#!lua flags=allow-oom
-- A switch's event stream is open: phones can be rung for its calls.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 switch, 7 owner, 8 token
-- returns  nothing
-- cost     that of attach.lua for each agent whose phone switches ring
return m.run('attach_switch', function() return m.attach_switch(m.args[6], m.args[7], m.args[8]) end)
