/** Accounts: `@localpart:<this node's name>`. spec: client-server-api/_index.md "Account registration", "Login" */
import { isValidNewLocalpart, parseUserId } from '@plexus/core'
import type { ServerName, UserId } from '@plexus/core'
import type { AppService } from '../app-services/types.ts'
import type { Session, Write } from '../ports.ts'
import type { AccountDataStore } from './account-data.ts'
import type { UsersContext, UsersInit } from './deps.ts'
import type { DeviceStore } from './device-store.ts'
import type { Passwords } from './password.ts'
import { defaultRuleset } from './push-defaults.ts'
import { PUSH_RULES_TYPE, pushRulesContent } from './push-rules.ts'
import { accounts, profiles } from './tables.ts'
import type { AccountRow } from './tables.ts'
import { UserError } from './types.ts'
import type { Accounts, NewAccount, NewDevice } from './types.ts'

const MAX_ACCOUNTS = 10_000
const MADE_UP_LENGTH = 12

export type AccountParts = {
  readonly devices: DeviceStore
  readonly passwords: Passwords
  readonly accountData: AccountDataStore
}

/** Only of ASCII: other letters are not taken in user names. */
const downcase = (name: string): string => name.replace(/[A-Z]+/g, (letters) => letters.toLowerCase())

/**
 * Whom a client means that says a user id or a localpart; no two users differ in case alone.
 * spec: appendices.md "User Identifiers"
 */
export function ownUserId(user: string, serverName: ServerName): UserId | undefined {
  const [localpart = '', ...server] = (user.startsWith('@') ? user.slice(1) : user).split(':')
  const isOwn = user.startsWith('@') ? server.join(':') === serverName : server.length === 0
  return isOwn ? parseUserId(`@${downcase(localpart)}:${serverName}`) : undefined
}

export function createAccounts(context: UsersContext, parts: AccountParts, init: UsersInit): Accounts {
  const { store, committer, clock, random, signer, mutex, rooms, log, appServices, deactivated } = context
  const { devices, passwords, accountData } = parts
  const maxAccounts = init.maxAccounts ?? MAX_ACCOUNTS
  const lock = <T>(work: () => Promise<T>): Promise<T> => mutex.run('accounts', work)

  const toUserId = (name: string): UserId => {
    const localpart = downcase(name)
    const userId = isValidNewLocalpart(localpart) ? parseUserId(`@${localpart}:${signer.name}`) : undefined
    if (userId !== undefined) return userId
    throw new UserError('M_INVALID_USERNAME', 'a user name has the characters a-z, 0-9 and ._=/+-')
  }

  const check = async (userId: UserId, by: AppService | undefined): Promise<void> => {
    if (by !== undefined && !by.coversUser(userId))
      throw new UserError(
        'M_EXCLUSIVE',
        'the user name is outside of the namespaces of the application service',
      )
    if (appServices.isUserReserved(userId, by))
      throw new UserError('M_EXCLUSIVE', 'the user name is reserved for an application service')
    if ((await accounts.get(store, [userId])) !== undefined) {
      throw new UserError('M_USER_IN_USE', 'the user name is taken')
    }
    const rows = await accounts.list(store, [], { limit: maxAccounts })
    if (rows.length >= maxAccounts) throw new UserError('M_FORBIDDEN', 'this node takes no more accounts')
  }

  const made = (): string =>
    Array.from(random.bytes(MADE_UP_LENGTH), (byte) => (byte % 36).toString(36)).join('')

  const active = async (userId: UserId): Promise<AccountRow | undefined> => {
    const row = await accounts.get(store, [userId])
    return row === undefined || row.deactivated === true ? undefined : row
  }

  const update = (userId: UserId, change: (row: AccountRow) => AccountRow): Promise<void> =>
    lock(async () => {
      const row = await active(userId)
      if (row === undefined) throw new UserError('M_NOT_FOUND', 'there is no such account')
      await committer.submit({ writes: () => [accounts.put([userId], change(row))], durability: 'strict' })
    })

  const leaveAll = async (userId: UserId): Promise<void> => {
    for (const { roomId, membership } of await rooms().memberships(userId)) {
      if (membership !== 'join' && membership !== 'invite' && membership !== 'knock') continue
      try {
        await rooms().leave(userId, roomId)
      } catch (error) {
        log.log('warn', 'a deactivated user could not leave a room', { roomId, error: String(error) })
      }
    }
  }

  async function register(account: NewAccount): Promise<UserId>
  async function register(account: NewAccount, device: NewDevice): Promise<Session>
  async function register(account: NewAccount, device?: NewDevice): Promise<UserId | Session> {
    const userId = toUserId(account.localpart ?? made())
    await check(userId, account.by)
    const password =
      account.password === undefined ? {} : { password: await passwords.hash(account.password) }
    return lock(async () => {
      await check(userId, account.by)
      const writes = (position: number): readonly Write[] => [
        accounts.put([userId], { createdAt: clock.now(), ...password }),
        ...accountData.newEntry(userId, PUSH_RULES_TYPE, pushRulesContent(defaultRuleset(userId)), position),
      ]
      if (device !== undefined) return devices.open(userId, device, writes)
      await committer.submit({ writes, durability: 'strict' })
      return userId
    })
  }

  const checkPassword = async (userId: UserId, password: string): Promise<boolean> =>
    passwords.check(password, (await active(userId))?.password)

  return {
    register,
    checkPassword,
    async checkAvailable(localpart, by) {
      await check(toUserId(localpart), by)
    },
    async login(user, password, device) {
      const own = ownUserId(user, signer.name)
      const row = own && (await accounts.get(store, [own]))
      const right = await passwords.check(password, row?.password)
      if (own === undefined || row === undefined || !right) {
        throw new UserError('M_FORBIDDEN', 'the user name or password is wrong')
      }
      if (row.deactivated === true)
        throw new UserError('M_USER_DEACTIVATED', 'this account has been deactivated')
      return devices.open(own, device)
    },
    async openSession(userId, device) {
      if ((await active(userId)) === undefined) throw new UserError('M_NOT_FOUND', 'there is no such account')
      return devices.open(userId, device)
    },
    authenticate: (accessToken, address) => devices.authenticate(accessToken, address),
    refresh: (refreshToken) => devices.refresh(refreshToken),
    logout: ({ userId, deviceId }) => devices.delete(userId, [deviceId]),
    logoutAll: (userId) => devices.deleteAll(userId),
    async hasPassword(userId) {
      return (await active(userId))?.password !== undefined
    },
    async setPassword(userId, password, { keep } = {}) {
      const hash = await passwords.hash(password)
      await update(userId, (row) => ({ ...row, password: hash }))
      if (keep !== undefined) await devices.deleteAll(userId, keep.deviceId)
    },
    async deactivate(userId) {
      await update(userId, ({ createdAt }) => ({ createdAt, deactivated: true }))
      deactivated()
      await leaveAll(userId)
      await devices.deleteAll(userId)
      await committer.submit({ writes: () => [profiles.delete([userId])] })
    },
    async exists(userId) {
      return (await active(userId)) !== undefined
    },
    async list() {
      const rows = await accounts.list(store, [])
      return rows.flatMap(([[userId], row]) => (row.deactivated === true ? [] : [userId as UserId]))
    },
  }
}
