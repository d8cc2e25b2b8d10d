-- One step of a projection: its commands and its position, together and once.
--
-- KEYS[1]  the hash with the positions of the projection's version
-- KEYS[2]  the string that holds the live version
-- ARGV     field of the partition, position before, position after, version,
--          prefix of the version's keys, prefix of published keys,
--          number of published keys, those keys without a prefix,
--          then each command as its number of words and the words
--
-- Returns -1, or the position where the projection really stands.

local position = tonumber(redis.call('HGET', KEYS[1], ARGV[1]) or '0')
if position ~= tonumber(ARGV[2]) then
  return position
end

local published = tonumber(ARGV[7])

-- Redis takes nothing back: a command that fails leaves those before it done, without the position.
-- So a key that cannot be what its command needs is found before the first command runs.
local needed = { HSET = 'hash', HINCRBY = 'hash', ZINCRBY = 'zset' }
local made = { SET = 'string', DEL = 'none' }
local kinds = {}
local at = 8 + published
while at <= #ARGV do
  local name, key = ARGV[at + 1], ARGV[at + 2]
  local kind = needed[name]
  if kind then
    local found = kinds[key] or redis.call('TYPE', key).ok
    if found ~= kind and found ~= 'none' then
      return redis.error_reply('WRONGTYPE ' .. name .. ' meets a ' .. found .. ' at ' .. key)
    end
  end
  kinds[key] = kind or made[name] or kinds[key]
  at = at + tonumber(ARGV[at]) + 1
end

at = 8 + published
while at <= #ARGV do
  local words = tonumber(ARGV[at])
  redis.call(unpack(ARGV, at + 1, at + words))
  at = at + words + 1
end

-- What is published under a fixed name is a copy of the live version's key, expiry included.
if published > 0 and redis.call('GET', KEYS[2]) == ARGV[4] then
  for number = 8, 7 + published do
    local name = ARGV[6] .. ARGV[number]
    if redis.call('COPY', ARGV[5] .. ARGV[number], name, 'REPLACE') == 0 then
      redis.call('DEL', name)
    end
  end
end

redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
return -1
