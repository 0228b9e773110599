import { describe, expect, it } from 'vitest'
import { enter, type EnterDeps } from './enter.ts'
import type { Network } from './network.ts'
import type { LiveSession } from './session.ts'

type Step = 'network' | 'session' | 'watch'

/** A page that stops being the one while it does the step `lostIn`. */
function page(lostIn?: Step) {
  const done: string[] = []
  let current = true
  const step = (name: Step): Promise<void> => {
    done.push(name)
    if (name === lostIn) current = false
    return Promise.resolve()
  }
  const network = {
    [Symbol.asyncDispose]() {
      done.push('network stopped')
      return Promise.resolve()
    },
  } as unknown as Network
  const session = { stop: () => void done.push('session stopped') } as unknown as LiveSession
  const deps = {
    node: { call: () => step('watch') },
    async startNetwork() {
      await step('network')
      return network
    },
    async openSession() {
      await step('session')
      return session
    },
    isCurrent: () => current,
    own: (part: object) => void done.push(`owns ${Object.keys(part).join(' ')}`),
  } as unknown as EnterDeps
  const account = {} as Parameters<typeof enter>[1]
  return { done, session, entered: enter(deps, account, { relays: [], iceServers: [] }) }
}

describe('a page that starts', () => {
  it('has a session once the node watches', async () => {
    const { done, session, entered } = page()
    expect(await entered).toBe(session)
    expect(done).toEqual(['network', 'owns network', 'watch', 'session', 'owns session'])
  })

  it.each<[Step, readonly string[]]>([
    ['network', ['network', 'network stopped']],
    ['watch', ['network', 'owns network', 'watch', 'session', 'session stopped']],
    ['session', ['network', 'owns network', 'watch', 'session', 'session stopped']],
  ])('and loses its lock in the step "%s" leaves nothing running', async (step, all) => {
    const { done, entered } = page(step)
    await expect(entered).rejects.toThrow('open in another tab')
    expect(done).toEqual(all)
  })
})
