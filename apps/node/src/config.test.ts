import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StartError } from '@plexus/daemon'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { HELP, readConfig, type Config } from './config.ts'

const KEY_NAME = 'k51qzi5uqu5dgutdk6i1ynyzgkqngpha5xpgia3a5qqp4jsh0u4csozksxel2r'

let scratch = ''
beforeEach(() => {
  scratch = mkdtempSync(join(tmpdir(), 'plexus-config-'))
})
afterEach(() => rmSync(scratch, { recursive: true }))

const read = (args: readonly string[], environment: Readonly<Record<string, string>> = {}): Config => {
  const config = readConfig(args, environment, '/default')
  if (config === undefined) throw new Error('asked for help')
  return config
}
const file = (text: string): string => {
  const path = join(scratch, 'node.json')
  writeFileSync(path, text)
  return path
}

describe('the configuration', () => {
  it('is complete without a word', () => {
    expect(read([])).toEqual({
      data: '/default',
      clientApi: { host: '127.0.0.1', port: 8010 },
      admin: { host: '127.0.0.1', port: 8011 },
      serverName: undefined,
      notary: [],
      ca: [],
      listen: [],
      announce: [],
      relay: [],
      lan: false,
      mdns: false,
      registration: 'token',
      adminUser: [],
      rateLimits: 'on',
      trustProxy: false,
      turnUri: [],
      appservice: [],
      urlPreviews: 'off',
      privateAddresses: false,
      takeBack: false,
      logLevel: 'info',
    })
  })

  it('is undefined for who asks for help, which names every flag', () => {
    expect(readConfig(['--help'], {}, '/default')).toBeUndefined()
    for (const flag of ['--data', '--client-api', '--listen', '--relay', '--registration', '--config'])
      expect(HELP).toContain(flag)
  })

  it('reads every flag', () => {
    const args =
      '--data /d --client-api [::1]:0 --admin localhost:1 --server-name a.example --lan --mdns --trust-proxy ' +
      '--listen /ip4/127.0.0.1/tcp/0/ws --listen /ip4/127.0.0.1/tcp/0 --announce /dns4/a/tcp/1 ' +
      '--relay /ip4/127.0.0.1/tcp/1/ws/p2p/x --registration open --admin-user ann --admin-user ben --rate-limits off --log-level debug ' +
      '--turn-uri turn:a?transport=udp --turn-uri turns:b --turn-secret-file /s --appservice /b --appservice /c ' +
      '--mail-token-file /m --url-previews on --private-addresses --take-back --name-suffix gw.example.org --federation 0.0.0.0:8448 --tls-cert /c --tls-key /k --ca /x --ca /y ' +
      '--federation-resolve a=b:1,c=d:2 --federation-resolve-file /r --well-known-server a.example:443 --notary n.example --notary m.example'
    expect(read(args.split(' '))).toEqual({
      data: '/d',
      clientApi: { host: '::1', port: 0 },
      admin: { host: 'localhost', port: 1 },
      serverName: 'a.example',
      nameSuffix: 'gw.example.org',
      federation: { host: '0.0.0.0', port: 8448 },
      tlsCert: '/c',
      tlsKey: '/k',
      ca: ['/x', '/y'],
      federationResolve: 'a=b:1,c=d:2',
      federationResolveFile: '/r',
      wellKnownServer: 'a.example:443',
      notary: ['n.example', 'm.example'],
      listen: ['/ip4/127.0.0.1/tcp/0/ws', '/ip4/127.0.0.1/tcp/0'],
      announce: ['/dns4/a/tcp/1'],
      relay: ['/ip4/127.0.0.1/tcp/1/ws/p2p/x'],
      mailTokenFile: '/m',
      lan: true,
      mdns: true,
      registration: 'open',
      adminUser: ['ann', 'ben'],
      rateLimits: 'off',
      trustProxy: true,
      turnUri: ['turn:a?transport=udp', 'turns:b'],
      turnSecretFile: '/s',
      appservice: ['/b', '/c'],
      urlPreviews: 'on',
      privateAddresses: true,
      takeBack: true,
      logLevel: 'debug',
    })
  })

  it('takes flags before the environment, and that before the file', () => {
    const path = file(
      JSON.stringify({ registration: 'open', logLevel: 'warn', rateLimits: 'off', lan: true }),
    )
    const environment = {
      PLEXUS_CONFIG: path,
      PLEXUS_REGISTRATION: 'closed',
      PLEXUS_LOG_LEVEL: 'error',
      PATH: '/bin',
    }
    const config = read(['--log-level', 'debug'], environment)
    expect(config).toMatchObject({ logLevel: 'debug', registration: 'closed', rateLimits: 'off', lan: true })
  })

  it('reads lists and switches of the environment', () => {
    const environment = { PLEXUS_LISTEN: '/ip4/1.2.3.4/tcp/1, /ip4/1.2.3.4/tcp/2,', PLEXUS_LAN: 'true' }
    expect(read([], environment)).toMatchObject({
      listen: ['/ip4/1.2.3.4/tcp/1', '/ip4/1.2.3.4/tcp/2'],
      lan: true,
    })
    expect(read([], { PLEXUS_LAN: 'false' }).lan).toBe(false)
  })

  it('knows the map of places by the name that test suites give it too', () => {
    const environment = { FED_RESOLVE: 'hs1=127.0.0.1:1', FED_RESOLVE_FILE: '/r' }
    expect(read([], environment)).toMatchObject({
      federationResolve: 'hs1=127.0.0.1:1',
      federationResolveFile: '/r',
    })
  })

  it.each([
    [['--client-api', '8010'], '--client-api must be HOST:PORT'],
    [['--client-api', 'a:b:1'], '--client-api must be HOST:PORT'],
    [['--admin', '127.0.0.1:70000'], '--admin must be HOST:PORT'],
    [['--server-name', '@'], '--server-name is no server name'],
    [['--server-name', `${KEY_NAME}.example.org`], '--server-name is a key'],
    [['--name-suffix', 'localhost:1'], '--name-suffix must be a domain'],
    [['--federation', '8448'], '--federation must be HOST:PORT'],
    [['--tls-cert', ''], '--tls-cert is empty'],
    [['--well-known-server', 'a/b'], '--well-known-server is no server name'],
    [['--notary', 'a/b'], '--notary is no server name'],
    [['a', 'b', 'c', 'd', 'e'].flatMap((name) => ['--notary', name]), '--notary has more than 4 entries'],
    [['--listen', '127.0.0.1:1'], '--listen must be a multiaddr'],
    [['--registration', 'maybe'], '--registration must be one of open, token, closed'],
    [['--admin-user', '@ann'], '--admin-user must be the first part of a user id'],
    [['--turn-uri', 'stun:a'], '--turn-uri must be a TURN URI'],
    [['--data', ''], '--data is empty'],
    [['--appservice', ''], '--appservice is empty'],
    [['--nonsense'], "Unknown option '--nonsense'"],
    [['stray'], "Unexpected argument 'stray'"],
  ])('names the flag that is wrong: %j', (args, why) => {
    expect(() => read(args)).toThrow(StartError)
    expect(() => read(args)).toThrow(why)
  })

  it('names the variable that is wrong', () => {
    expect(() => read([], { PLEXUS_RATE_LIMITS: 'some' })).toThrow(
      'PLEXUS_RATE_LIMITS must be one of on, off',
    )
    expect(() => read([], { PLEXUS_LAN: 'yes' })).toThrow('PLEXUS_LAN must be true or false')
  })

  it.each([
    ['{"clientApi": 8010}', 'clientApi in'],
    ['{"listen": "/ip4/1.2.3.4/tcp/1"}', 'listen in'],
    ['{"colour": "red"}', 'colour in'],
    ['{', 'is not JSON'],
    ['[]', 'is not a JSON object'],
    ['null', 'is not a JSON object'],
    [`{"data": "${'x'.repeat(70_000)}"}`, 'is not a JSON object of at most'],
  ])('names the key of the file that is wrong: %.30s', (text, why) => {
    const path = file(text)
    expect(() => read(['--config', path])).toThrow(StartError)
    expect(() => read(['--config', path])).toThrow(why)
    expect(() => read(['--config', path])).toThrow(path)
  })

  it('says when the file cannot be read', () => {
    expect(() => read(['--config', join(scratch, 'none.json')])).toThrow(/cannot be read \(ENOENT\)/)
  })
})
