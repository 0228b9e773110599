/** Users, keys, media: what others may ask about the users of this server. */
import { alice, ALICE, bob, BOB, describeCases, enc, get, room, V1, type Case } from '../testing/endpoints.ts'

const CASES: readonly Case[] = [
  {
    name: 'openid/userinfo',
    raw: get(`${V1}/openid/userinfo?access_token=t`),
    methods: { openId: { userOf: (token) => (token === 't' ? BOB : undefined) } },
    asks: 'openId.userOf',
    answer: { sub: BOB },
    repeatable: true,
    wrong: [['no token', get(`${V1}/openid/userinfo`), 401, 'M_MISSING_TOKEN']],
  },
  {
    name: 'version',
    raw: get(`${V1}/version`),
    methods: {},
    asks: '',
    answer: { server: { name: 'Plexus', version: '1.0' } },
    repeatable: true,
    wrong: [['another method', { method: 'PUT', uri: `${V1}/version`, content: {} }, 405, 'M_UNRECOGNIZED']],
  },
  {
    name: 'query/profile',
    raw: get(`${V1}/query/profile?user_id=${enc(BOB)}&field=displayname`),
    methods: { queries: { profile: async () => ({ displayname: 'Bob' }) } },
    asks: 'queries.profile',
    answer: { displayname: 'Bob' },
    wrong: [
      ['no user', get(`${V1}/query/profile`), 400, 'M_MISSING_PARAM'],
      [
        'the user of another server',
        get(`${V1}/query/profile?user_id=${enc(ALICE)}`),
        400,
        'M_INVALID_PARAM',
      ],
      ['a user id that is none', get(`${V1}/query/profile?user_id=bob`), 400, 'M_INVALID_PARAM'],
      [
        'a field without a name',
        get(`${V1}/query/profile?user_id=${enc(BOB)}&field=`),
        400,
        'M_INVALID_PARAM',
      ],
    ],
  },
  {
    name: 'query/directory',
    raw: get(`${V1}/query/directory?room_alias=${enc(`#room:${bob.name}`)}`),
    methods: {},
    asks: '',
    answer: { room_id: room.roomId, servers: [bob.name] },
    wrong: [
      ['no alias', get(`${V1}/query/directory`), 400, 'M_MISSING_PARAM'],
      ['an alias that is none', get(`${V1}/query/directory?room_alias=room`), 400, 'M_INVALID_PARAM'],
      [
        'an unknown alias',
        get(`${V1}/query/directory?room_alias=${enc(`#other:${bob.name}`)}`),
        404,
        'M_NOT_FOUND',
      ],
      [
        'the alias of another server',
        get(`${V1}/query/directory?room_alias=${enc(`#room:${alice.name}`)}`),
        404,
        'M_NOT_FOUND',
      ],
    ],
  },
  {
    name: 'user/devices',
    raw: get(`${V1}/user/devices/${enc(BOB)}`),
    methods: { queries: { devices: async () => ({ user_id: BOB, stream_id: 1, devices: [] }) } },
    asks: 'queries.devices',
    answer: { user_id: BOB, stream_id: 1, devices: [] },
    wrong: [
      ['the user of another server', get(`${V1}/user/devices/${enc(ALICE)}`), 400, 'M_INVALID_PARAM'],
      ['a user id that is none', get(`${V1}/user/devices/bob`), 400, 'M_INVALID_PARAM'],
    ],
  },
  {
    name: 'user/keys/query',
    raw: { method: 'POST', uri: `${V1}/user/keys/query`, content: { device_keys: { [BOB]: [] } } },
    methods: { queries: { queryKeys: async () => ({ device_keys: {} }) } },
    asks: 'queries.queryKeys',
    answer: { device_keys: {} },
    wrong: (
      [
        ['no map', {}, 'M_BAD_JSON'],
        ['a list for a map', { device_keys: [] }, 'M_BAD_JSON'],
        ['a text for a list', { device_keys: { [BOB]: 'D' } }, 'M_BAD_JSON'],
        ['a device id that is too long', { device_keys: { [BOB]: ['D'.repeat(256)] } }, 'M_BAD_JSON'],
        ['too many devices', { device_keys: { [BOB]: Array<string>(1_001).fill('D') } }, 'M_BAD_JSON'],
        [
          'too many users',
          {
            device_keys: Object.fromEntries(
              Array.from({ length: 1_001 }, (_, i) => [`@${i}:${bob.name}`, []]),
            ),
          },
          'M_BAD_JSON',
        ],
        ['the user of another server', { device_keys: { [BOB]: [], [ALICE]: [] } }, 'M_INVALID_PARAM'],
      ] as const
    ).map(
      ([label, content, errcode]) =>
        [label, { method: 'POST', uri: `${V1}/user/keys/query`, content }, 400, errcode] as const,
    ),
  },
  {
    name: 'user/keys/claim',
    raw: {
      method: 'POST',
      uri: `${V1}/user/keys/claim`,
      content: { one_time_keys: { [BOB]: { D: 'signed_curve25519' } } },
    },
    methods: { queries: { claimKeys: async () => ({ one_time_keys: {} }) } },
    asks: 'queries.claimKeys',
    answer: { one_time_keys: {} },
    repeatable: true,
    wrong: (
      [
        ['no map', {}, 'M_BAD_JSON'],
        ['a list for a map', { one_time_keys: { [BOB]: ['D'] } }, 'M_BAD_JSON'],
        ['a number for an algorithm', { one_time_keys: { [BOB]: { D: 1 } } }, 'M_BAD_JSON'],
        [
          'the user of another server',
          { one_time_keys: { [ALICE]: { D: 'signed_curve25519' } } },
          'M_INVALID_PARAM',
        ],
      ] as const
    ).map(
      ([label, content, errcode]) =>
        [label, { method: 'POST', uri: `${V1}/user/keys/claim`, content }, 400, errcode] as const,
    ),
  },
  {
    name: 'media/download',
    raw: get(`${V1}/media/download/abc`),
    methods: { queries: { media: async () => ({ bytes: Uint8Array.of(1, 2), contentType: 'image/png' }) } },
    asks: 'queries.media',
    answer: 'multipart',
    wrong: [
      ['an id with a slash', get(`${V1}/media/download/${enc('../x')}`), 400, 'M_INVALID_PARAM'],
      ['an id that is too long', get(`${V1}/media/download/${'x'.repeat(256)}`), 400, 'M_INVALID_PARAM'],
      ['no id', get(`${V1}/media/download/`), 400, 'M_INVALID_PARAM'],
    ],
  },
]

describeCases(CASES)
