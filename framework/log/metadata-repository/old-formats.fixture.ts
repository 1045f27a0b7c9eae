/** What was written before there were feature levels, byte for byte: it lies on disks. Base64. */

/** Commands, in the order in which they were applied. */
export const OLD_COMMANDS: readonly Uint8Array[] = [
  'Ek17ImtpbmQiOiJyZWdpc3RlclN0b3JhZ2VOb2RlIiwiaWQiOjEsImFkZHJlc3MiOiJhOjEiLCJkaXNrIjoiZDEiLCJtb3ZlIjp0cnVlfRgC',
  'Ejh7ImtpbmQiOiJyZWdpc3RlclRvcGljIiwiaWQiOjAsImFja25vd2xlZGdlIjoibWFqb3JpdHkifRgC',
  'Ej57ImtpbmQiOiJyZWdpc3RlckxvZ1N0cmVhbSIsImlkIjowLCJ0b3BpY0lkIjoxLCJyZXBsaWNhcyI6WzFdfRgC',
  'En97ImtpbmQiOiJ1bnNlYWwiLCJpZCI6MSwiZXBvY2giOjEsIm1lbWJlcnMiOlsxXSwiZGlza3MiOlsiZDEiXSwicHJpbWFyeVByb2Nlc3MiOiJwIiwicmV2aXNpb24iOjAsImJ5IjoidGhlIHJlcGFpciBvZiBtZW1iZXIgMiJ9GAI=',
  'CgYIARABGAUYAg==',
  'EjV7ImtpbmQiOiJob2xkIiwidG9waWNJZCI6MSwiaG9sZGVyIjoiaCIsInBvc2l0aW9uIjozfRgC',
  'EjN7ImtpbmQiOiJyZWdpc3RlclRvcGljIiwiaWQiOjcsImFja25vd2xlZGdlIjoiYWxsIn0YAg==',
  'EiF7ImtpbmQiOiJ1bnJlZ2lzdGVyVG9waWMiLCJpZCI6N30YAg==',
  'EiJ7ImtpbmQiOiJzZWFsIiwiaWQiOjEsImhvbGQiOnRydWV9GAI=',
].map(bytesOf);

/** The state that came of them. */
export const OLD_SNAPSHOT = bytesOf(
  [
    'CAISiwV7InN0b3JhZ2VOb2RlcyI6W3siaWQiOjEsImFkZHJlc3MiOiJhOjEiLCJkaXNrIjoiZDEiLCJm',
    'b3JtZXJEaXNrcyI6W10sInJlbW92ZWQiOltdfV0sInVucmVnaXN0ZXJlZCI6W10sInRvcGljcyI6W3si',
    'aWQiOjEsImFja25vd2xlZGdlIjoibWFqb3JpdHkiLCJoaWdoV2F0ZXJtYXJrIjo1LCJ0cmltbWVkIjow',
    'LCJob2xkcyI6W3siaG9sZGVyIjoiaCIsInBvc2l0aW9uIjozfV0sImxvZ1N0cmVhbXMiOlsxXX1dLCJk',
    'ZWxldGVkVG9waWNzIjpbeyJpZCI6NywiYWNrbm93bGVkZ2UiOiJhbGwiLCJoaWdoV2F0ZXJtYXJrIjow',
    'LCJ0cmltbWVkIjowLCJob2xkcyI6W10sImxvZ1N0cmVhbXMiOltdfV0sImxvZ1N0cmVhbXMiOlt7Imlk',
    'IjoxLCJ0b3BpY0lkIjoxLCJyZXBsaWNhcyI6WzFdLCJtZW1iZXJzIjpbMV0sImZvdW5kZXJzIjpbeyJu',
    'b2RlIjoxLCJkaXNrIjoiZDEifV0sInByaW1hcnlQcm9jZXNzIjoicCIsImVwb2NoIjoxLCJzZWFsZWQi',
    'OnRydWUsImhlbGQiOnRydWUsInJldmlzaW9uIjoyLCJjaGFuZ2VkIjoic2VhbGVkIGF0IDUgYnkgYW4g',
    'b3BlcmF0b3IiLCJlbmQiOjUsImxhc3RHbHNuIjo1LCJ2ZXJzaW9uIjoxfV0sInRvcGljSWRzIjp7Im5l',
    'eHQiOjIsImFib3ZlIjpbN119LCJsb2dTdHJlYW1JZHMiOnsibmV4dCI6MiwiYWJvdmUiOltdfX0aCwgB',
    'GgcBAQEBAAAF',
  ].join(''),
);

/** Results: the value 5, and a refusal. */
export const OLD_RESULTS: readonly Uint8Array[] = [
  'eyJvayI6dHJ1ZSwidmFsdWUiOjV9',
  'eyJvayI6ZmFsc2UsImNvZGUiOiJOT1RfRk9VTkQiLCJ3aGF0IjoidyIsIm5leHQiOiJuIn0=',
].map(bytesOf);

function bytesOf(base64: string): Uint8Array {
  return new Uint8Array(Buffer.from(base64, 'base64'));
}
