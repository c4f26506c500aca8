#!lua flags=allow-oom
-- Waiting calls are given their tier.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 call or '', 7 caller, 8 tier, 9 '1': only those
--          whose tier is provisional, 10 '1': a VIP whose number is not attested,
--          11 '1': vip only for those whose number is
-- returns  the call if one was named, the number of those changed
-- cost     that of arrive.lua for each call of the number
return m.run('rerank', function()
  return m.rerank(m.args[6], m.args[7], tonumber(m.args[8]), m.args[9] == '1', m.args[10] == '1', m.args[11] == '1')
end)
