export interface InitScript {
  readonly path: string;
  run(signal: AbortSignal): Promise<void>;
}
