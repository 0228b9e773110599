import { DEFAULT_MAIL_POLICY } from '@plexus/relay'
import { describe, expect, it } from 'vitest'
import { readFlags } from './flags.ts'

const read = (...args: string[]): ReturnType<typeof readFlags> => readFlags(args, '/default')

describe('readFlags', () => {
  it('has defaults for everything', () => {
    expect(read()).toEqual({
      port: undefined,
      host: '127.0.0.1',
      data: '/default',
      publicUrl: undefined,
      trustedProxies: [],
      tls: undefined,
      peers: [],
      mail: {
        ...DEFAULT_MAIL_POLICY,
        registration: { mode: 'open', file: undefined },
        maxBytes: 10_000_000_000,
      },
      admin: undefined,
    })
  })

  it('reads every flag of mail', () => {
    const quotas = ['--mail-quota', 'keys=5,6', '--mail-quota', 'strangers=0,0']
    const numbers = [
      '--mail-boxes=7',
      '--mail-days=2',
      '--mail-disk-mb=3',
      '--mail-rate=10',
      '--mail-proof-bits=20',
    ]
    const who = ['--mail-registration', 'list', '--mail-registration-file', 'names']
    const flags = read('--admin', '[::1]:0', ...quotas, ...numbers, ...who)
    expect(flags?.admin).toEqual({ host: '::1', port: 0 })
    expect(flags?.mail).toEqual({
      maxMailboxes: 7,
      retentionMs: 2 * 24 * 3_600_000,
      maxBytes: 3_000_000,
      quotas: {
        keys: { mails: 5, bytes: 6_000_000 },
        events: DEFAULT_MAIL_POLICY.quotas.events,
        strangers: { mails: 0, bytes: 0 },
      },
      depositsPerSecond: 10,
      depositBurst: 200,
      proofBits: 20,
      registration: { mode: 'list', file: 'names' },
    })
    expect(read('--mail', 'off')?.mail).toBeUndefined()
  })

  it('reads every flag', () => {
    const listen = ['--port', '9000', '--host=0.0.0.0', '--public-url', 'https://relay.example.org']
    const proxies = ['--trusted-proxy', '10.0.0.0/8', '--trusted-proxy', '::1']
    const flags = read(...listen, ...proxies, '--data', '/d', '--tls-cert', 'c.pem', '--tls-key', 'k.pem')
    expect(flags).toMatchObject({
      trustedProxies: [
        { address: '10.0.0.0', prefix: 8 },
        { address: '::1', prefix: 128 },
      ],
      port: 9000,
      host: '0.0.0.0',
      data: '/d',
      tls: { cert: 'c.pem', key: 'k.pem' },
    })
    expect(flags?.publicUrl?.href).toBe('https://relay.example.org/')
  })

  it('reads other relays', () => {
    const peer = '/dns4/r.example.org/tcp/443/tls/ws/p2p/12D3KooWHHzSeKaY8xuZVzkLbKFfvNgPPeKhFBGrMbNzbm5akpqu'
    expect(read('--peer', peer, '--peer', peer)?.peers).toEqual([peer, peer])
    for (const wrong of ['r.example.org', '/ip4/127.0.0.1/tcp/1'])
      expect(() => read('--peer', wrong)).toThrow('--peer')
    expect(() => read(...Array.from({ length: 33 }, () => ['--peer', peer]).flat())).toThrow('more than 32')
  })

  it('reads the servers of a NATS cluster', () => {
    expect(
      read('--mail-nats', 'nats://10.0.0.1:4222', '--mail-nats', 'tls://n2', '--mail-nats-ca', 'ca.pem'),
    ).toMatchObject({
      mail: {
        nats: { servers: ['nats://10.0.0.1:4222', 'tls://n2'], caFile: 'ca.pem', tokenFile: undefined },
      },
    })
    expect(read()?.mail?.nats).toBeUndefined()
  })

  it('takes localhost for the address that it redirects to', () => {
    expect(read('--host', 'localhost')?.host).toBe('127.0.0.1')
  })

  it('answers undefined for help', () => {
    expect(read('--help')).toBeUndefined()
  })

  it.each([
    [['--prot', '1'], '--prot'],
    [['--port'], '--port'],
    [['--port', 'http'], '--port http'],
    [['--port', '65536'], '--port 65536'],
    [['--port', '-1'], '--port'],
    [['--port', '1.5'], '--port 1.5'],
    [['--port', ''], '--port'],
    [['--host', ''], '--host'],
    [['--data='], '--data'],
    [['--help=yes'], '--help'],
    [['8009'], '8009'],
    [['--public-url', 'relay.example.org'], '--public-url relay.example.org'],
    [['--public-url', 'https://relay.example.org/x'], '--public-url https://relay.example.org/x'],
    [['--public-url', 'https://a:b@relay.example.org'], '--public-url'],
    [['--public-url', 'ftp://relay.example.org'], '--public-url'],
    [['--tls-cert', 'c.pem'], '--tls-key'],
    [['--tls-key', 'k.pem'], '--tls-cert'],
    [['--acme', 'localhost'], '--acme localhost'],
    [['--acme', '192.0.2.1'], '--acme 192.0.2.1'],
    [['--acme', 'r.example.org', '--tls-cert', 'c', '--tls-key', 'k'], '--acme'],
    [['--acme', 'r.example.org', '--acme-directory', 'http://x'], '--acme-directory http://x'],
    [['--acme-email', 'a@example.org'], 'need --acme'],
    [['--mail', 'maybe'], '--mail maybe'],
    [['--mail-days', '366'], '--mail-days 366'],
    [['--mail-days', '0'], '--mail-days 0'],
    [['--mail-proof-bits', '25'], '--mail-proof-bits 25'],
    [['--mail-rate', '-1'], '--mail-rate'],
    [['--mail-quota', 'keys=5'], '--mail-quota keys=5'],
    [['--mail-quota', 'others=5,5'], '--mail-quota others=5,5'],
    [['--mail-registration', 'closed'], '--mail-registration closed'],
    [['--mail-registration', 'token'], '--mail-registration-file'],
    [['--mail-registration-file', 'x'], '--mail-registration'],
    [['--mail-nats', 'http://10.0.0.1'], '--mail-nats'],
    [['--mail-nats', 'nats://secret@10.0.0.1'], '--mail-nats'],
    [['--mail-nats-token-file', 'x'], 'need --mail-nats'],
    [Array.from({ length: 17 }, () => ['--mail-nats', 'nats://n']).flat(), 'more than 16'],
    [['--admin', '8012'], '--admin 8012'],
    [['--admin', '127.0.0.1:99999'], '--admin 127.0.0.1:99999'],
  ])('names the wrong flag of %j in one line', (args, name) => {
    const message = (): string => {
      try {
        read(...args)
      } catch (error) {
        return (error as Error).message
      }
      return 'nothing wrong'
    }
    expect(message()).toContain(name)
    expect(message()).not.toContain('\n')
  })
})
