-- Counts one request in a fixed window; over the limit the client is blocked for a while.
-- KEYS: window, block. ARGV: requests, window in seconds, block in seconds.
-- Returns {used, seconds until the window or the block ends, 1 when blocked}.
local blocked_for = redis.call('TTL', KEYS[2])
if blocked_for > 0 then
    return {0, blocked_for, 1}
end
local used = redis.call('INCR', KEYS[1])
if used == 1 then
    redis.call('EXPIRE', KEYS[1], ARGV[2])
end
if used > tonumber(ARGV[1]) and tonumber(ARGV[3]) > 0 then
    redis.call('SET', KEYS[2], 1, 'EX', ARGV[3])
    return {used, tonumber(ARGV[3]), 1}
end
return {used, math.max(redis.call('TTL', KEYS[1]), 0), 0}
