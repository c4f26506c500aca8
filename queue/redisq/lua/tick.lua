#!lua flags=allow-oom
-- Fire timers that are due, a bounded number of them, and forget a few of what
-- has been kept long enough. Firing twice is harmless.
--
-- KEYS     all of the site's
-- ARGV     1 now, 2 print of the settings, 3 nonce
-- returns  see lib/run.lua; status MORE when timers are left that are due
-- cost     FIRE_STEP times that of decline.lua at most
local not_now = begin()
if not_now then return not_now end
local more = fire_due()
forget_ended(key_ended, site.keep_calls, site.keep_calls_age)
forget_ended(key_endedbacks, site.keep_callbacks, site.keep_callbacks_age)
forget_requests(TRIM_STEP)
forget_events()
flush()
return answer(more and 'MORE' or 'OK')
