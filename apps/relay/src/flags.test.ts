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
      tls: undefined,
    })
  })

  it('reads every flag', () => {
    const listen = ['--port', '9000', '--host=0.0.0.0', '--public-url', 'https://relay.example.org']
    const flags = read(...listen, '--data', '/d', '--tls-cert', 'c.pem', '--tls-key', 'k.pem')
    expect(flags).toMatchObject({
      port: 9000,
      host: '0.0.0.0',
      data: '/d',
      tls: { cert: 'c.pem', key: 'k.pem' },
    })
    expect(flags?.publicUrl?.href).toBe('https://relay.example.org/')
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
