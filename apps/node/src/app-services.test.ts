import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { StartError } from '@plexus/daemon'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadAppServices } from './app-services.ts'

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'plexus-registration-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

const file = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}

/** The example of the specification. */
const IRC = `id: "IRC Bridge"
url: "http://127.0.0.1:1234"
as_token: "30c05ae90a248a4188e620216fa72e349803310ec83e2a77b34fe90be6081f46"
hs_token: "312df522183efd404ec1cd22d2ffa4bbc76a8c1ccf541dd692eef281356bb74e"
sender_localpart: "_irc_bot" # Will result in @_irc_bot:example.org
namespaces:
  users:
    - exclusive: true
      regex: "@_irc_bridge_.*"
  aliases:
    - exclusive: false
      regex: "#_irc_bridge_.*"
  rooms: []
`

const withLine = (from: string, to: string): string => {
  expect(IRC).toContain(from)
  return IRC.replace(from, to)
}

describe('the registration of an application service', () => {
  it('is read as the specification has it', () => {
    const [registration] = loadAppServices([file('irc.yaml', IRC)])
    expect(registration).toMatchObject({
      id: 'IRC Bridge',
      url: 'http://127.0.0.1:1234',
      senderLocalpart: '_irc_bot',
      receiveEphemeral: false,
      rateLimited: true,
      protocols: [],
      namespaces: { users: [{ exclusive: true }], aliases: [{ exclusive: false }], rooms: [] },
    })
    const matches = (id: string): boolean | undefined => registration?.namespaces.users[0]?.matches(id)
    expect(matches('@_irc_bridge_ann:a.example')).toBe(true)
    expect(matches('x@_irc_bridge_ann:a.example')).toBe(false)
    expect(matches('@ann:a.example')).toBe(false)
  })

  it('takes what bridges write besides, and a service without traffic', () => {
    const text = withLine(
      'url: "http://127.0.0.1:1234"',
      'url: null\nde.sorunome.msc2409.push_ephemeral: true\nrate_limited: false',
    )
    expect(loadAppServices([file('irc.yaml', text)])).toMatchObject([{ url: null, rateLimited: false }])
  })

  it('matches in linear time what makes others explode', () => {
    const text = withLine('@_irc_bridge_.*', '@(a+)+(a+)+(a+)+$')
    const [registration] = loadAppServices([file('irc.yaml', text)])
    const begun = performance.now()
    expect(registration?.namespaces.users[0]?.matches(`@${'a'.repeat(250)}!`)).toBe(false)
    expect(performance.now() - begun).toBeLessThan(1_000)
  })

  it.each([
    ['id: "IRC Bridge"', 'id: ""', 'id in FILE is empty'],
    ['id: "IRC Bridge"', 'id: "a|b"', 'id in FILE must not contain |'],
    ['url: "http://127.0.0.1:1234"', 'url: "ftp://a"', 'url in FILE must be an http or https URL, or null'],
    ['url: "http://127.0.0.1:1234"\n', '', 'url in FILE is missing'],
    ['as_token: "30', 'as_token: "3 0', 'as_token in FILE must be printable ASCII without spaces'],
    ['"_irc_bot"', '"@_irc_bot"', 'sender_localpart in FILE must be the first part of a user id, without @'],
    ['"_irc_bot"', '7', 'sender_localpart in FILE has a wrong type'],
    ['exclusive: true', 'exclusive: maybe', 'namespaces.users.0.exclusive in FILE must be true or false'],
    ['#_irc_bridge_.*', '#(?!a)b', 'namespaces.aliases.0.regex in FILE is no regular expression of RE2'],
    ['#_irc_bridge_.*', '#(', 'namespaces.aliases.0.regex in FILE is no regular expression of RE2'],
    [
      '#_irc_bridge_.*',
      'x'.repeat(1_001),
      'namespaces.aliases.0.regex in FILE has more than 1000 characters',
    ],
    ['rooms: []', 'rooms: 7', 'namespaces.rooms in FILE has a wrong type'],
    ['namespaces:', 'namespace:', 'namespaces in FILE is missing'],
    ['id: "IRC Bridge"', 'id: [', 'the registration FILE is not YAML'],
    ['id: "IRC Bridge"', `# ${'x'.repeat(300_000)}`, 'the registration FILE has more than 262144 characters'],
  ])('names what is wrong: %j as %.40j', (from, to, why) => {
    const path = file('irc.yaml', withLine(from, to))
    expect(() => loadAppServices([path])).toThrow(StartError)
    expect(() => loadAppServices([path])).toThrow(why.replace('FILE', path))
  })

  it('shares neither id nor token with another, and is there', () => {
    const one = file('one.yaml', IRC)
    const load = (text: string) => () => loadAppServices([one, file('two.yaml', text)])
    expect(load(IRC)).toThrow(/^id in .*two.yaml is that of .*one.yaml too$/)
    expect(load(withLine('IRC Bridge', 'another'))).toThrow(/^as_token in /)
    expect(() => loadAppServices([join(folder, 'none.yaml')])).toThrow(/cannot be read \(ENOENT\)/)
    expect(() => loadAppServices([file('list.yaml', '- a')])).toThrow(StartError)
  })
})
