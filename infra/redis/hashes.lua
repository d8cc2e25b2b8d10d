-- Hashes of live projections: ARGV[1] is the namespace, the others are <projection>:<key>.
-- Returns the fields and values of each, nothing for what is missing.

local found = {}
for number = 2, #ARGV do
  local projection, key = ARGV[number]:match('^(.-):(.*)$')
  local prefix = ARGV[1] .. projection .. ':'
  local version = redis.call('GET', prefix .. 'live')
  found[number - 1] = version and redis.call('HGETALL', prefix .. version .. ':' .. key) or {}
end
return found
