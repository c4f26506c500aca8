#!lua flags=allow-oom
-- A part of what is kept of a person: the number goes from what is over.
--
-- KEYS     all of the site's
-- ARGV     1 to 5 as arrive.lua, 6 what stands for the number in keys, 7 packed list
--          of { 'b', callback }, { 'c', call } and { 'r', request, what it is, what
--          it becomes }, 8 '1': parts follow, remember nothing, 9 what earlier parts
--          came to: packed { calls, callbacks, live }
-- returns  how many calls and callbacks were erased in all, and how many are live
-- cost     O(1) for each of the list, and cancel_callback.lua for an open callback
return m.run('erase_caller', function()
  local list, sofar = decode(m.args[7]), decode(m.args[9])
  local res = { erased_calls = sofar[1], erased_callbacks = sofar[2], live = sofar[3] }
  for i = 1, #list do
    local kind, id = list[i][1], list[i][2]
    if kind == 'b' then
      m.erase_callback(m.get_callback(id), m.args[6], res)
    elseif kind == 'c' then
      m.erase_call(m.get_call(id), m.args[6], res)
    else
      m.replace_answer(id, list[i][3], list[i][4])
    end
  end
  return res
end, m.args[8] == '1')
