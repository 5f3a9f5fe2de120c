# msgsnd.rb KEY TYPE HEX...: sends each payload, given in hexadecimal, with
# nothing but the standard library.
require "fiddle"

libc = Fiddle.dlopen(nil)
msgget = Fiddle::Function.new(libc["msgget"], [Fiddle::TYPE_INT, Fiddle::TYPE_INT], Fiddle::TYPE_INT)
msgsnd = Fiddle::Function.new(libc["msgsnd"],
  [Fiddle::TYPE_INT, Fiddle::TYPE_VOIDP, Fiddle::TYPE_SIZE_T, Fiddle::TYPE_INT], Fiddle::TYPE_INT)

key, type, *payloads = ARGV
q = msgget.call(key.hex, 0)
abort "msgget: errno #{Fiddle.last_error}" if q < 0
payloads.each do |hex|
  payload = [hex].pack("H*")
  r = msgsnd.call(q, [type.to_i].pack("l!") + payload, payload.bytesize, 0)
  abort "msgsnd: errno #{Fiddle.last_error}" if r != 0
end
