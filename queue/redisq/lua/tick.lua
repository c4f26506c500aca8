#!lua flags=allow-oom
-- Fire timers that are due, a bounded number of them, and forget a few of what
-- has been kept long enough. Firing twice is harmless.
--
-- KEYS     all of the site's
-- ARGV     1 now, 2 print of the settings, 3 nonce
-- returns  see lib/run.lua; status MORE when timers are left that are due
-- cost     FIRE_STEP times that of decline.lua at most
if not m.begin(ARGV[1], ARGV[2]) then return { 'CONFIG', m.nonce } end
local more = m.fire_due()
m.forget_ended(key_ended, m.site.keep_calls, m.site.keep_calls_age)
m.forget_ended(key_endedbacks, m.site.keep_callbacks, m.site.keep_callbacks_age)
m.forget_requests(TRIM_STEP)
m.forget_events()
m.flush()
return m.answer(more and 'MORE' or 'OK')
