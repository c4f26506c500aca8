#!lua flags=allow-oom
-- Looks at records by their STATE, not by their leases, and puts back what was
-- left active without one: a waiting call that stands in no line, an offered one
-- whose offer is gone, a timer that is not armed, a callback alike. Nothing is
-- wrong as a rule, since each step is atomic; a Redis that lost the end of its
-- log, or a hand in the data, may leave such things.
--
-- KEYS     all of the site's
-- ARGV     1 now, 2 print of the settings, 3 nonce, then ids of calls and, with a
--          'b' before them, of callbacks: 'c' or 'b' and the id
-- returns  see lib/run.lua; in the body a packed list of what was mended
-- cost     O(log n) for each id
if not m.begin(ARGV[1], ARGV[2]) then return { 'CONFIG', m.nonce } end
local mended = {}
for i = 4, #ARGV do
  local id = ARGV[i]:sub(2)
  local what
  if ARGV[i]:sub(1, 1) == 'c' then what = m.mend_call(m.get_call(id)) else what = m.mend_callback(m.get_callback(id)) end
  if what then mended[#mended + 1] = ARGV[i] .. ': ' .. what end
end
m.flush()
return m.answer('OK', pack(mended))
