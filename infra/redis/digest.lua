-- The digest of a key's content, whatever its encoding: KEYS[1] the key, ARGV[1] milliseconds.
-- Empty for a key that is gone, or will be within that time.

local left = redis.call('PTTL', KEYS[1])
if left == -2 or (left >= 0 and left < tonumber(ARGV[1])) then
  return ''
end
local kind = redis.call('TYPE', KEYS[1]).ok
local content
if kind == 'hash' then
  local flat = redis.call('HGETALL', KEYS[1])
  content = {}
  for at = 1, #flat, 2 do
    content[#content + 1] = flat[at] .. '\0' .. flat[at + 1]
  end
  table.sort(content)
elseif kind == 'zset' then
  -- Scores are sums of fractions: their last digits depend on the order of adding.
  content = redis.call('ZRANGE', KEYS[1], 0, -1, 'WITHSCORES')
  local members = {}
  for at = 1, #content, 2 do
    members[#members + 1] = content[at] .. '\0' .. string.format('%.9g', tonumber(content[at + 1]))
  end
  table.sort(members)
  content = members
elseif kind == 'set' then
  content = redis.call('SMEMBERS', KEYS[1])
  table.sort(content)
elseif kind == 'list' then
  content = redis.call('LRANGE', KEYS[1], 0, -1)
else
  content = { redis.call('GET', KEYS[1]) }
end
return redis.sha1hex(table.concat(content, '\1'))
