/**
 * What a server says that validates no addresses and has no identity server, no single sign-on and no OAuth.
 * Each endpoint is there, so that a client is told why, in the words of the specification.
 */
import * as v from 'valibot'
import { endpoint, type Auth, type Endpoint, type Method } from '../../endpoint.ts'
import { MatrixError, missingParam, notFound, unrecognized } from '../../matrix-error.ts'

type Refusal = {
  readonly method: Method
  readonly path: string
  readonly auth: Auth
  readonly why: () => MatrixError
}

const refusing = ({ method, path, auth, why }: Refusal): Endpoint =>
  endpoint({
    method,
    path,
    auth,
    rateLimit: 'lookup',
    pathSchema: v.record(v.string(), v.string()),
    handler: () => {
      throw why()
    },
  })

/** spec: client-server-api "Adding Account Administrative Contact Information" */
const denied = (): MatrixError =>
  new MatrixError(403, 'M_THREEPID_DENIED', 'this server validates no email addresses and phone numbers')

/** spec: client-server-api "Password management" */
const unknownAddress = (): MatrixError =>
  new MatrixError(400, 'M_THREEPID_NOT_FOUND', 'no account of this server has an address')

const CLIENT = '/_matrix/client/v3'

const address = (path: string, auth: Auth, why: () => MatrixError): Endpoint =>
  refusing({ method: 'POST', path: `${CLIENT}/${path}`, auth, why })

/** Nothing is associated with an account, so nothing is left after these. */
const unbinding = (path: string): Endpoint =>
  endpoint({
    method: 'POST',
    path: `${CLIENT}/account/3pid/${path}`,
    auth: 'user',
    bodySchema: v.object({ medium: v.picklist(['email', 'msisdn']), address: v.string() }),
    handler: () => ({ id_server_unbind_result: 'no-support' }),
  })

/** spec: client-server-api "Single sign-on": the server is one without any identity provider. */
const singleSignOn = (path: string): Endpoint =>
  endpoint({
    method: 'GET',
    path: `${CLIENT}/login/sso/redirect${path}`,
    auth: 'none',
    rateLimit: 'login',
    pathSchema: v.record(v.string(), v.string()),
    querySchema: v.object({ redirectUrl: v.optional(v.string()) }),
    handler({ query }) {
      if (query.redirectUrl === undefined) throw missingParam('redirectUrl is missing')
      throw notFound('there is no single sign-on here')
    },
  })

export const notHere: readonly Endpoint[] = [
  address('account/3pid', 'user', denied),
  address('account/3pid/add', 'user', denied),
  address('account/3pid/bind', 'user', denied),
  unbinding('delete'),
  unbinding('unbind'),
  address('account/3pid/email/requestToken', 'none', denied),
  address('account/3pid/msisdn/requestToken', 'none', denied),
  address('register/email/requestToken', 'none', denied),
  address('register/msisdn/requestToken', 'none', denied),
  address('account/password/email/requestToken', 'none', unknownAddress),
  address('account/password/msisdn/requestToken', 'none', unknownAddress),
  singleSignOn(''),
  singleSignOn('/{idpId}'),
  refusing({
    method: 'GET',
    path: '/_matrix/client/v1/auth_metadata',
    auth: 'none',
    why: () => unrecognized(404, 'this server has no OAuth 2.0 API'),
  }),
]
