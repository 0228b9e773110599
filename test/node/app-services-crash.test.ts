/** SIGKILL of a headless node while it tells an application service: all is told, once, in order. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { RoomId } from '@plexus/core'
import { afterEach, expect, it } from 'vitest'
import { OK, startTestService, type TestService } from '../kit/app-service.ts'
import { register, startNodeApp, type NodeApp } from '../kit/node-app.ts'

const ROUNDS = 2
const MESSAGES = 5

const data = mkdtempSync(join(tmpdir(), 'plexus-services-crash-'))
let node: NodeApp | undefined
let bridge: TestService | undefined
afterEach(async () => {
  await node?.stop('SIGKILL')
  await bridge?.[Symbol.asyncDispose]()
  rmSync(data, { recursive: true, force: true })
})

it(`tells all in ${ROUNDS} kills`, { timeout: 120_000 }, async () => {
  const service = (bridge = await startTestService('irc'))
  const args = ['--rate-limits', 'off', '--appservice', service.register(data)]
  node = await startNodeApp(data, args)
  const at = (): string => node?.clientApi ?? ''
  const ann = await register(data, at, 'ann')
  const roomId = (await ann.ok('POST', 'v3/createRoom', { preset: 'public_chat' }))['room_id'] as RoomId
  const joined = await service.ask(at(), 'POST', `v3/join/${encodeURIComponent(roomId)}`, { body: {} })
  expect(joined.status).toBe(200)
  const said: string[] = []
  for (let round = 0; round < ROUNDS; round += 1) {
    // The first transaction of a round gets no answer before the kill, whether it was taken or not.
    const seen = service.asked.length
    service.answer = () => (round % 2 === 0 ? undefined : { status: 500, body: {} })
    for (let count = 0; count < MESSAGES; count += 1)
      said.push(await ann.say(roomId, `t${said.length}`, 'hello'))
    const cut = await service.when(() => service.asked[seen])
    await node.stop('SIGKILL')
    const from = service.asked.length
    service.answer = () => OK
    node = await startNodeApp(data, args)
    const again = await service.when(() => service.asked[from])
    expect([again.path, again.text]).toEqual([cut.path, cut.text])
  }
  const told = (): readonly unknown[] =>
    service
      .events()
      .filter(({ type }) => type === 'm.room.message')
      .map(({ event_id: id }) => id)
  expect(await service.when(() => (told().length >= said.length ? told() : undefined))).toEqual(said)
  for (const { authorization } of service.asked) expect(authorization).toBe(`Bearer ${service.hsToken}`)
})
