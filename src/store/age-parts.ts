/** The parts of age that are used, so that a bundle holds nothing else of it. */
export { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from 'age-encryption';
