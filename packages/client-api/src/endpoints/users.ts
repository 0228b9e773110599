import type { Endpoint } from '../endpoint.ts'
import { getLock } from './users/get-lock.ts'
import { getSuspension } from './users/get-suspension.ts'
import { setLock } from './users/set-lock.ts'
import { setSuspension } from './users/set-suspension.ts'
import { whois } from './users/whois.ts'
import { accountData } from './users/account-data.ts'
import { backup } from './users/backup.ts'
import { backupKeys } from './users/backup-keys.ts'
import { backupRoom } from './users/backup-room.ts'
import { backupSession } from './users/backup-session.ts'
import { capabilities } from './users/capabilities.ts'
import { changePassword } from './users/change-password.ts'
import { createBackup } from './users/create-backup.ts'
import { createFilter } from './users/create-filter.ts'
import { deactivate } from './users/deactivate.ts'
import { deleteBackup } from './users/delete-backup.ts'
import { deleteBackupKeys } from './users/delete-backup-keys.ts'
import { deleteBackupRoom } from './users/delete-backup-room.ts'
import { deleteBackupSession } from './users/delete-backup-session.ts'
import { dehydratedDevice } from './users/dehydrated-device.ts'
import { dehydratedEvents } from './users/dehydrated-events.ts'
import { deleteDehydratedDevice } from './users/delete-dehydrated-device.ts'
import { deleteDevice } from './users/delete-device.ts'
import { deleteDevices } from './users/delete-devices.ts'
import { deleteProfileField } from './users/delete-profile-field.ts'
import { deletePushRule } from './users/delete-push-rule.ts'
import { deleteTag } from './users/delete-tag.ts'
import { device } from './users/device.ts'
import { deviceSigningUpload } from './users/device-signing-upload.ts'
import { devices } from './users/devices.ts'
import { filter } from './users/filter.ts'
import { keysChanges } from './users/keys-changes.ts'
import { keysClaim } from './users/keys-claim.ts'
import { keysQuery } from './users/keys-query.ts'
import { keysUpload } from './users/keys-upload.ts'
import { legacyMediaDownload } from './users/legacy-media-download.ts'
import { legacyMediaThumbnail } from './users/legacy-media-thumbnail.ts'
import { loginToken } from './users/login-token.ts'
import { login } from './users/login.ts'
import { loginFlows } from './users/login-flows.ts'
import { logout } from './users/logout.ts'
import { logoutAll } from './users/logout-all.ts'
import { mediaComplete } from './users/media-complete.ts'
import { mediaConfig } from './users/media-config.ts'
import { mediaCreate } from './users/media-create.ts'
import { mediaDownload } from './users/media-download.ts'
import { mediaThumbnail } from './users/media-thumbnail.ts'
import { mediaUpload } from './users/media-upload.ts'
import { newestBackup } from './users/newest-backup.ts'
import { notHere } from './users/not-here.ts'
import { notifications } from './users/notifications.ts'
import { openId } from './users/openid.ts'
import { presence } from './users/presence.ts'
import { postDehydratedEvents } from './users/post-dehydrated-events.ts'
import { previewUrl } from './users/preview-url.ts'
import { profile } from './users/profile.ts'
import { profileField } from './users/profile-field.ts'
import { pushRule } from './users/push-rule.ts'
import { pushRuleActions } from './users/push-rule-actions.ts'
import { pushRuleEnabled } from './users/push-rule-enabled.ts'
import { pushRules } from './users/push-rules.ts'
import { pushRulesGlobal } from './users/push-rules-global.ts'
import { pushers } from './users/pushers.ts'
import { putBackupKeys } from './users/put-backup-keys.ts'
import { putBackupRoom } from './users/put-backup-room.ts'
import { putDehydratedDevice } from './users/put-dehydrated-device.ts'
import { putBackupSession } from './users/put-backup-session.ts'
import { register } from './users/register.ts'
import { refresh } from './users/refresh.ts'
import { registerAvailable } from './users/register-available.ts'
import { registrationTokenValidity } from './users/registration-token-validity.ts'
import { renameDevice } from './users/rename-device.ts'
import { roomAccountData } from './users/room-account-data.ts'
import { sendToDevice } from './users/send-to-device.ts'
import { setAccountData } from './users/set-account-data.ts'
import { setPresence } from './users/set-presence.ts'
import { setProfileField } from './users/set-profile-field.ts'
import { setPushRule } from './users/set-push-rule.ts'
import { setPushRuleActions } from './users/set-push-rule-actions.ts'
import { setPushRuleEnabled } from './users/set-push-rule-enabled.ts'
import { setPusher } from './users/set-pusher.ts'
import { setRoomAccountData } from './users/set-room-account-data.ts'
import { setTag } from './users/set-tag.ts'
import { signaturesUpload } from './users/signatures-upload.ts'
import { tags } from './users/tags.ts'
import { thirdPartyIds } from './users/third-party-ids.ts'
import { turnServer } from './users/turn-server.ts'
import { updateBackup } from './users/update-backup.ts'
import { userDirectory } from './users/user-directory.ts'
import { whoami } from './users/whoami.ts'

/** Endpoints about accounts, devices, keys, account data, push rules, profiles and media. */
export const userEndpoints: readonly Endpoint[] = [
  accountData,
  backup,
  backupKeys,
  backupRoom,
  backupSession,
  capabilities,
  changePassword,
  createBackup,
  createFilter,
  deactivate,
  deleteBackup,
  deleteBackupKeys,
  deleteBackupRoom,
  deleteBackupSession,
  dehydratedDevice,
  dehydratedEvents,
  deleteDehydratedDevice,
  deleteDevice,
  deleteDevices,
  deleteProfileField,
  deletePushRule,
  deleteTag,
  device,
  deviceSigningUpload,
  devices,
  filter,
  keysChanges,
  keysClaim,
  keysQuery,
  keysUpload,
  legacyMediaDownload,
  legacyMediaThumbnail,
  whois,
  getLock,
  setLock,
  getSuspension,
  setSuspension,
  login,
  loginToken,
  loginFlows,
  logout,
  logoutAll,
  mediaComplete,
  mediaConfig,
  mediaCreate,
  mediaDownload,
  mediaThumbnail,
  mediaUpload,
  newestBackup,
  ...notHere,
  notifications,
  openId,
  presence,
  postDehydratedEvents,
  previewUrl,
  profile,
  profileField,
  pushRule,
  pushRuleActions,
  pushRuleEnabled,
  pushRules,
  pushRulesGlobal,
  pushers,
  putBackupKeys,
  putBackupRoom,
  putBackupSession,
  putDehydratedDevice,
  register,
  refresh,
  registerAvailable,
  registrationTokenValidity,
  renameDevice,
  roomAccountData,
  sendToDevice,
  setAccountData,
  setPresence,
  setProfileField,
  setPushRule,
  setPushRuleActions,
  setPushRuleEnabled,
  setPusher,
  setRoomAccountData,
  setTag,
  signaturesUpload,
  tags,
  thirdPartyIds,
  turnServer,
  updateBackup,
  userDirectory,
  whoami,
]
