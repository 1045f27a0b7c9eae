/** The statuses of HTTP that are answered and understood here, by their names in RFC 9110 (429: RFC 6585). */
export const HttpStatus = {
  ok: 200,
  created: 201,
  notModified: 304,
  badRequest: 400,
  notFound: 404,
  methodNotAllowed: 405,
  conflict: 409,
  gone: 410,
  preconditionFailed: 412,
  contentTooLarge: 413,
  unsupportedMediaType: 415,
  unprocessableContent: 422,
  tooManyRequests: 429,
  internalServerError: 500,
  serviceUnavailable: 503,
  gatewayTimeout: 504,
} as const;
