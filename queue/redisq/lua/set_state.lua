#!lua flags=allow-oom
-- An agent is ready, or pauses.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 agent, 7 state, 8 reason, 9 the state's name
-- returns  the agent
-- cost     as sign_in.lua
return m.run('set_state', function()
  local a, state = m.signed_in(m.args[6]), tonumber(m.args[7])
  if state == AGENT_READY then
    m.want_ready(a)
  elseif state == AGENT_NOT_READY then
    m.want_pause(a, m.given(m.args[8]))
  else
    m.refuse(ERR_INVALID, 'state', m.args[9] .. ' cannot be set; ready or not_ready is allowed')
  end
  return { the_agent = a }
end)
