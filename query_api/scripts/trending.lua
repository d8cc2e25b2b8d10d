-- The top of a window of trends, made from its buckets when what was made before is too old.
--
-- KEYS[1]  the string that holds the live version of the projection, <…>trending:live
-- KEYS[2]  the sorted set to answer from
-- ARGV     family of buckets, now, width of a bucket, span of the window, half-life (all seconds),
--          oldest age that will do, life of the set (both ms), first place, last place
--
-- Returns the videos with their scores, best first.

local family = ARGV[1]
local now, width = tonumber(ARGV[2]), tonumber(ARGV[3])
local span, half_life = tonumber(ARGV[4]), tonumber(ARGV[5])
local age_max, life = tonumber(ARGV[6]), tonumber(ARGV[7])

local left = redis.call('PTTL', KEYS[2])
if left < 0 or life - left > age_max then
  local version = redis.call('GET', KEYS[1])
  if not version then
    return {}
  end
  local prefix = string.sub(KEYS[1], 1, -5) .. version .. ':' .. family .. ':'
  local keys, weights = {}, {}
  local first = math.floor((now - span) / width) * width
  for start = first, math.floor(now / width) * width, width do
    local age = math.max(now - start - width / 2, 0)
    keys[#keys + 1] = prefix .. string.format('%d', start)
    weights[#weights + 1] = string.format('%.17g', 0.5 ^ (age / half_life))
  end
  local store = {'ZUNIONSTORE', KEYS[2], #keys}
  for _, key in ipairs(keys) do store[#store + 1] = key end
  store[#store + 1] = 'WEIGHTS'
  for _, weight in ipairs(weights) do store[#store + 1] = weight end
  redis.call(unpack(store))
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', 0)
  redis.call('PEXPIRE', KEYS[2], life)
end
return redis.call('ZREVRANGE', KEYS[2], ARGV[8], ARGV[9], 'WITHSCORES')
