/** Puts the users slice together. */
import { serverOf } from '@plexus/core'
import type { JsonObject, UserId } from '@plexus/core'
import { createKeyedMutex } from '../kernel/mutex.ts'
import { createAccountData } from './account-data.ts'
import { createAccounts } from './accounts.ts'
import { createKeyBackups } from './backups.ts'
import { createCrossSigning } from './cross-signing.ts'
import type { UsersContext, UsersDeps, UsersInit } from './deps.ts'
import { createChangeLog, createLocalLists } from './device-lists-local.ts'
import { createDeviceLists } from './device-lists.ts'
import { createDehydratedDevices } from './dehydrated.ts'
import { createDeviceStore } from './device-store.ts'
import { createUserDirectory } from './directory.ts'
import { createE2eeKeys, createKeyReader } from './e2ee-keys.ts'
import { createFilters } from './filters.ts'
import { createInteractive } from './interactive.ts'
import { publicSigningKeys } from './local-identity.ts'
import { createKeyShelf } from './key-shelf.ts'
import { createLocalKeys } from './local-keys.ts'
import { createMedia } from './media.ts'
import { createOpenId } from './open-id.ts'
import { createPasswords } from './password.ts'
import { createPreviews } from './previews.ts'
import { createProfiles } from './profiles.ts'
import { createPushRules } from './push-rules.ts'
import { createPushers } from './pushers.ts'
import { createQueries } from './queries.ts'
import { createRecentIds } from './recent-ids.ts'
import { createRemoteLists } from './remote-lists.ts'
import { createSignatureUpload } from './signatures.ts'
import { createLoginTokens } from './login-tokens.ts'
import { createModeration } from './moderation.ts'
import { createRegistration } from './registration.ts'
import { createReports } from './reports.ts'
import { createThumbnails } from './thumbnails.ts'
import { createToDevice } from './to-device.ts'
import { createTurn } from './turn.ts'
import type { ClaimedKeys, Users } from './types.ts'
import { createUpgradedRooms } from './upgraded-rooms.ts'

/** `deps.rooms` is not asked before this returned. */
export function createUsers(deps: UsersDeps, init: UsersInit = {}): Users {
  const context: UsersContext = { ...deps, mutex: createKeyedMutex() }
  const givenKeys = createRecentIds<1>(deps, 'given_keys')
  const transactions = createRecentIds<1>(deps, 'to_device_transactions')
  const messages = createRecentIds<1>(deps, 'to_device_messages')
  const claimed = createRecentIds<ClaimedKeys>(deps, 'claims')
  const changes = createChangeLog(context)
  const lists = createLocalLists(context, changes)
  const local = createLocalKeys(context, lists, givenKeys)
  const toDevice = createToDevice(context, { transactions, messages })
  const devices = createDeviceStore(context, lists, (device) => {
    local.forget(device)
    toDevice.forget(device)
  })
  const accountData = createAccountData(context, init)
  const passwords = createPasswords(deps.random, { cost: init.passwordCost, scrypt: init.scrypt })
  const accounts = createAccounts(context, { devices, passwords, accountData }, init)
  const remote = createRemoteLists(context, changes)
  const reader = createKeyReader(context, local)
  const masterOf = async (userId: UserId): Promise<JsonObject | undefined> =>
    serverOf(userId) === deps.signer.name
      ? (await publicSigningKeys(deps.store, userId, undefined)).master
      : (await remote.get(userId)).list.master
  const profiles = createProfiles(context, accounts)
  const media = createMedia(context, init)
  const thumbnails = createThumbnails({ media, pictures: deps.pictures })
  const registration = createRegistration(init.registration)
  const pushRules = createPushRules(accountData)
  const queries = createQueries(context, { accounts, profiles, lists, reader, media, thumbnails, claimed })
  return {
    accounts,
    interactive: createInteractive(deps, accounts, registration),
    registration,
    loginTokens: createLoginTokens(deps),
    reports: createReports(context),
    moderation: createModeration(context, accounts, init),
    devices,
    keys: createE2eeKeys(context, {
      local,
      reader,
      remote,
      crossSigning: createCrossSigning(context, lists),
      signatureUpload: createSignatureUpload(context, { lists, changes, masterOf }),
    }),
    keyShelf: createKeyShelf({ accounts, queries, local, ownName: deps.signer.name }),
    deviceLists: createDeviceLists(context, { changes, lists, accounts }),
    toDevice,
    dehydrated: createDehydratedDevices(context, { devices, local, toDevice }),
    accountData,
    pushRules,
    upgradedRooms: createUpgradedRooms(context.rooms, accountData, pushRules),
    pushers: createPushers(context),
    filters: createFilters(context),
    profiles,
    directory: createUserDirectory(context, accounts),
    openId: createOpenId(deps),
    turn: createTurn(deps.clock, init.turn),
    media,
    thumbnails,
    previews:
      deps.webPages === undefined ? undefined : createPreviews(context, { media, webPages: deps.webPages }),
    backups: createKeyBackups(context),
    queries,
    edus: {
      'm.direct_to_device': (origin, content) => toDevice.directToDevice(origin, content),
      'm.device_list_update': (origin, content) => remote.deviceListUpdate(origin, content),
      'm.signing_key_update': (origin, content) => remote.signingKeyUpdate(origin, content),
    },
  }
}
